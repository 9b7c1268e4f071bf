/**
 * A self-signed certificate for `receiver.test` and its key, for tests only; valid from 2020 to 2120. Made
 * with `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes` and `openssl ca -selfsign`,
 * the subject alternative name DNS:receiver.test in the extensions. Nothing trusts it unless a test says so.
 */
export const TEST_CERTIFICATE = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8m8hnIE87j9pOtGK
5+n5/fCAEPX/rlw+FBKfuKUQHx6hRANCAAREUHQMnWbffpN3jKwXRxZyFyIYIPfo
d+uWYpZr+Csip/r0Xb5tbB3bhJYRE1WqlX70zvnde4XL5B2cUxr4Nvlz
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBbDCCAROgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1yZWNlaXZl
ci50ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1yZWNlaXZlci50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERFB0
DJ1m336Td4ysF0cWchciGCD36HfrlmKWa/grIqf69F2+bWwd24SWERNVqpV+9M75
3XuFy+QdnFMa+Db5c6NMMEowGAYDVR0RBBEwD4INcmVjZWl2ZXIudGVzdDAPBgNV
HRMBAf8EBTADAQH/MB0GA1UdDgQWBBQf35eFr0xLdR/5V3L8jVIfrOnL2zAKBggq
hkjOPQQDAgNHADBEAiAiGM6cXqQOkNgYL3NPCv4uRXiJmx5zn82pykBW8a/BKwIg
E+FHBrzeiceNviiRvhr5r5HSkMak8wrh9cHLJkbYuls=
-----END CERTIFICATE-----
`,
} as const;

/** What a client shows, made in the same way: CN=postern-client, for client authentication. */
export const CLIENT_CERTIFICATE = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCP7rZrI0xxbUVRzH
eaCq5MaWk4PIJ6ZVi/RqK1MlMS2hRANCAASRcTX9jLbXZBEoiBxedU3aAj+3alG5
EoOCPhHt62AQM60Xmxv6BzbyLnA/YxgALHiLFcberhrhuaR2Z0qr67aU
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBajCCARCgAwIBAgIBATAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5wb3N0ZXJu
LWNsaWVudDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGTEXMBUG
A1UEAwwOcG9zdGVybi1jbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASR
cTX9jLbXZBEoiBxedU3aAj+3alG5EoOCPhHt62AQM60Xmxv6BzbyLnA/YxgALHiL
FcberhrhuaR2Z0qr67aUo0cwRTATBgNVHSUEDDAKBggrBgEFBQcDAjAPBgNVHRMB
Af8EBTADAQH/MB0GA1UdDgQWBBTqrt60RDwtvyu0GqNTcHA5SwgsIzAKBggqhkjO
PQQDAgNIADBFAiBGzru2RYtTpQAegnSLu0eZWWhwxpqBmssyk4dSTXXqZwIhAPWG
Gar63/N+snnzLMtIxHmJXdC9+TYLuD2KA9lwjQgs
-----END CERTIFICATE-----
`,
} as const;

/** The native strategies under one name: what deliveries of declared and API-made endpoints travel with. */
import { NATIVE_ENVELOPE } from "./native-envelope.ts";
import { NATIVE_INTERPRETER } from "./native-interpreter.ts";
import { standardPolicy } from "./policy.ts";
import { NATIVE_PRESSURE } from "./pressure.ts";
import type { Profile } from "./strategy.ts";

export const NATIVE_PROFILE: Profile = {
  name: "native",
  envelope: NATIVE_ENVELOPE,
  interpreter: NATIVE_INTERPRETER,
  policy: standardPolicy,
  pressure: NATIVE_PRESSURE,
};

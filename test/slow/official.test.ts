/** The providers' libraries that take long to load; the others are in test/domain/signature. */

import { verifySlackRequest } from "@slack/bolt/dist/receivers/verify-request.js";
import { WebhooksHelper as SquareWebhooks } from "square";
import { independently, runTwins } from "../domain/signature/official-twins.ts";
import { CALLED_URL } from "../domain/signature/signers.ts";

const slack = independently("slack");
runTwins({
  ...slack,
  accepts: (headers, body) =>
    verifySlackRequest({
      signingSecret: slack.keys.right,
      body,
      headers: {
        "x-slack-signature": headers["X-Slack-Signature"] ?? "",
        "x-slack-request-timestamp": Number(headers["X-Slack-Request-Timestamp"]),
      },
    }),
  isTimeChecked: true,
});

const square = independently("square");
runTwins({
  ...square,
  accepts: (headers, requestBody) =>
    SquareWebhooks.verifySignature({
      requestBody,
      signatureHeader: headers["x-square-hmacsha256-signature"] ?? "",
      signatureKey: square.keys.right,
      notificationUrl: CALLED_URL,
    }),
  isTimeChecked: false,
  isTimeless: true,
});

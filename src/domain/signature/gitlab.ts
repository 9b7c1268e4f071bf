/** GitLab: https://docs.gitlab.com/user/project/integrations/webhooks/ */

import { prepareToken } from "./token.ts";
import type { PresetOptions, Verifier } from "./types.ts";

/** A secret token that travels with every request. GitLab's newer signing tokens are scheme `standard`. */
export function prepareGitlab({ secrets }: PresetOptions): Verifier {
  return prepareToken({ header: "X-Gitlab-Token", secrets });
}

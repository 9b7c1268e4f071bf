/** Events of tools that people work with, in the shapes of their documentation. */
import { isoSeconds, type SampleSeed, type SampleShape, unixSeconds } from "./types.ts";

const EMAIL = "octocat@example.com";

function gitCommit({ hex, at }: SampleSeed) {
  const sha = (hex + hex).slice(0, 40);
  const author = { name: "Octo Cat", email: EMAIL };
  return { id: sha, message: "Add a sample", timestamp: isoSeconds(at), author };
}

const GITHUB_CONTENT: Readonly<Record<string, (seed: SampleSeed) => object>> = {
  ping: ({ number }) => ({
    zen: "Keep it logically awesome.",
    hook_id: number,
    hook: { type: "Repository", id: number },
  }),
  push: (seed) => {
    const commit = gitCommit(seed);
    const before = "0".repeat(40);
    const pusher = { name: "octocat", email: EMAIL };
    return {
      ref: "refs/heads/main",
      before,
      after: commit.id,
      commits: [commit],
      head_commit: commit,
      pusher,
    };
  },
  pull_request: ({ number }) => ({
    number: 1,
    pull_request: {
      id: number,
      number: 1,
      state: "open",
      title: "Sample",
      merged: false,
      head: { ref: "sample" },
    },
  }),
  issues: ({ number }) => ({ issue: { id: number, number: 1, state: "open", title: "Sample", labels: [] } }),
  release: ({ number }) => ({ release: { id: number, tag_name: "v1.0.0", name: "Sample", draft: false } }),
};

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads; written here as event or event.action. */
export const github: SampleShape = {
  types: ["push", "pull_request.opened", "pull_request.closed", "issues.opened", "release.published", "ping"],
  make: (seed) => {
    const [event = "", action] = seed.type.split(".");
    const login = "octocat";
    return {
      headers: {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": seed.uuid,
        "X-GitHub-Hook-ID": String(seed.number),
        "X-GitHub-Hook-Installation-Target-Type": "repository",
        "X-GitHub-Hook-Installation-Target-ID": "1296269",
        "User-Agent": `GitHub-Hookshot/${seed.hex.slice(0, 7)}`,
      },
      json: {
        ...(action === undefined ? {} : { action }),
        ...GITHUB_CONTENT[event]?.(seed),
        repository: {
          id: 1_296_269,
          name: "sample",
          full_name: `${login}/sample`,
          private: false,
          owner: { login },
        },
        sender: { id: 1, login, type: "User" },
      },
    };
  },
};

/** What X-Gitlab-Event says and what stands as object_kind. */
const GITLAB_EVENTS: Readonly<Record<string, readonly [event: string, kind: string]>> = {
  push: ["Push Hook", "push"],
  tag_push: ["Tag Push Hook", "tag_push"],
  issue: ["Issue Hook", "issue"],
  merge_request: ["Merge Request Hook", "merge_request"],
  note: ["Note Hook", "note"],
  pipeline: ["Pipeline Hook", "pipeline"],
  job: ["Job Hook", "build"],
  release: ["Release Hook", "release"],
};

/** https://docs.gitlab.com/user/project/integrations/webhook_events/; written here as kind or kind.action. */
export const gitlab: SampleShape = {
  types: ["push", "merge_request.open", "merge_request.merge", "issue.open", "pipeline", "tag_push"],
  make: (seed) => {
    const [name = "", action] = seed.type.split(".");
    const [event, kind] = GITLAB_EVENTS[name] ?? [`${name} Hook`, name];
    const commit = gitCommit(seed);
    const push = {
      ref: "refs/heads/main",
      checkout_sha: commit.id,
      commits: [commit],
      total_commits_count: 1,
    };
    const attributes = { id: seed.number, iid: 1, title: "Sample", state: "opened" };
    return {
      headers: {
        "X-Gitlab-Event": event,
        "X-Gitlab-Event-UUID": seed.uuid,
        "X-Gitlab-Webhook-UUID": seed.uuid,
        "X-Gitlab-Instance": "https://gitlab.example.com",
        "Idempotency-Key": seed.uuid,
      },
      json: {
        object_kind: kind,
        event_name: kind,
        ...(name.endsWith("push")
          ? push
          : { object_attributes: { ...attributes, ...(action && { action }) } }),
        user_username: "octocat",
        project: { id: 1, name: "sample", path_with_namespace: "octocat/sample", default_branch: "main" },
      },
    };
  },
};

/** https://docs.slack.dev/apis/events-api/#callback-field */
export const slack: SampleShape = {
  types: ["app_mention", "message", "reaction_added", "team_join", "app_home_opened"],
  make: ({ type, hex, at }) => {
    const id = hex.toUpperCase();
    const [user, team_id, channel] = [`U${id.slice(0, 10)}`, `T${id.slice(0, 10)}`, `C${id.slice(0, 10)}`];
    const ts = `${unixSeconds(at)}.000100`;
    return {
      json: {
        token: hex.slice(0, 24),
        team_id,
        api_app_id: `A${id.slice(0, 10)}`,
        event: { type, user, channel, text: "Hello from a sample", ts, event_ts: ts },
        type: "event_callback",
        event_id: `Ev${id.slice(0, 10)}`,
        event_time: unixSeconds(at),
        authorizations: [{ enterprise_id: null, team_id, user_id: user, is_bot: true }],
      },
    };
  },
};

/** https://linear.app/developers/webhooks; written here as type.action. */
export const linear: SampleShape = {
  types: ["Issue.create", "Issue.update", "Issue.remove", "Comment.create", "Project.update"],
  make: ({ type, uuid, at }) => {
    const [name = "", action = "create"] = type.split(".");
    const createdAt = new Date(at).toISOString();
    return {
      headers: { "Linear-Event": name, "Linear-Delivery": uuid, "User-Agent": "Linear-Webhook" },
      json: {
        action,
        type: name,
        createdAt,
        actor: { id: uuid, type: "user", name: "Octo Cat", email: EMAIL },
        data: { id: uuid, createdAt, updatedAt: createdAt, title: "Sample", number: 1 },
        url: "https://linear.app/sample/issue/SAM-1",
        organizationId: uuid,
        webhookTimestamp: at,
        webhookId: uuid,
      },
    };
  },
};

/** https://developers.zoom.us/docs/api/webhooks/ */
export const zoom: SampleShape = {
  types: ["meeting.started", "meeting.ended", "meeting.participant_joined", "recording.completed"],
  make: ({ type, hex, number, at }) => ({
    json: {
      event: type,
      event_ts: at,
      payload: {
        account_id: hex.slice(0, 22),
        object: {
          id: String(number),
          uuid: Buffer.from(hex, "hex").toString("base64"),
          host_id: hex.slice(0, 22),
          topic: "Sample",
          type: 2,
          start_time: isoSeconds(at),
          duration: 60,
          timezone: "UTC",
        },
      },
    },
  }),
};

/** https://www.twilio.com/docs/messaging/guides/webhook-request; written here as resource.what happened. */
export const twilio: SampleShape = {
  types: ["message.received", "message.delivered", "message.failed", "call.ringing", "call.completed"],
  make: ({ type, hex }) => {
    const [resource, status = "received"] = type.split(".");
    const parties = { AccountSid: `AC${hex}`, From: "+15550001", To: "+15550002", ApiVersion: "2010-04-01" };
    if (resource === "call")
      return { form: { CallSid: `CA${hex}`, CallStatus: status, Direction: "inbound", ...parties } };
    const sid = `SM${hex}`;
    const received = { Body: "Hello from a sample", NumMedia: "0", NumSegments: "1", SmsStatus: status };
    const about = status === "received" ? received : { MessageStatus: status };
    return { form: { MessageSid: sid, SmsSid: sid, ...about, ...parties } };
  },
};

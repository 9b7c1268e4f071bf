/**
 * The endpoints behind the URLs that are told how deliveries ended, as far as an API names them: made when a
 * request names one, judged like any other target, and bounded in number, because each is a lane.
 */
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import { RESULT_DOOR, type ResultOwner, resultEndpoint } from "../domain/result-note.ts";
import type { Directory } from "./directory.ts";
import type { EndpointDraft } from "./endpoints.ts";
import { readTarget } from "./target-check.ts";

export interface ResultEndpointsOptions {
  readonly directory: Pick<Directory, "endpointNamed" | "endpointsOf">;
  readonly nextId: () => string;
  /** Judges the target and stores the endpoint. */
  readonly put: (draft: EndpointDraft) => Promise<Endpoint>;
}

/** Per project, in service: enough for a URL per customer of a small platform, few enough for memory. */
const RESULT_ENDPOINTS_MAX = 1_000;

export class ResultEndpoints {
  readonly #options: ResultEndpointsOptions;
  /** Those that are being made, so that two requests at once make one. */
  readonly #pending = new Map<string, Promise<unknown>>();

  constructor(options: ResultEndpointsOptions) {
    this.#options = options;
  }

  /**
   * Returns the URL as it is to be written down, with an endpoint behind it. AppError: invalid_request,
   * target_blocked, conflict when the project has too many.
   */
  async ensure(owner: ResultOwner, text: string): Promise<string> {
    const { directory, nextId, put } = this.#options;
    const url = readTarget(text).href;
    const definition = resultEndpoint(owner, url);
    const { project, name } = definition;
    if (directory.endpointNamed(project, name)) return url;
    const key = `${project}/${name}`;
    const pending = this.#pending.get(key);
    if (pending === undefined) {
      this.#assertRoom(project);
      const making = put({ ...definition, id: nextId(), door: RESULT_DOOR });
      this.#pending.set(key, making);
      await making.finally(() => this.#pending.delete(key));
    } else await pending;
    return url;
  }

  #assertRoom(project: string): void {
    const { length } = this.#options.directory.endpointsOf(
      project,
      ({ door, deletedAt }) => door === RESULT_DOOR && deletedAt === null,
    );
    if (length + this.#pending.size < RESULT_ENDPOINTS_MAX) return;
    const message = `resultTo: the project has ${RESULT_ENDPOINTS_MAX} URLs already that are told of results`;
    throw new AppError("conflict", message);
  }
}

/** GET /v1/metrics and its series, for sent messages (protocol section 8). */
import { answerData } from "./answer.ts";
import { readSeries, showMetrics, showSeries } from "./metrics.ts";
import { OUTBOUND } from "./profiles.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";

export function metricRoutes(service: Service): Route[] {
  const read = (call: Call) => {
    const id = call.query.text("endpoint_id");
    const lane = id === undefined ? null : service.endpoint(call.project, id).lane;
    return readSeries(call, service, { profile: OUTBOUND, lane });
  };
  return [
    {
      method: "GET",
      path: "/v1/metrics",
      run: async (call) => answerData(call.context, showMetrics(await read(call))),
    },
    {
      method: "GET",
      path: "/v1/metrics/timeseries",
      run: async (call) => answerData(call.context, showSeries(await read(call))),
    },
  ];
}

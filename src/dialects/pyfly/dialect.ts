/** PyFly, as app.ts knows it. */
import type { Dialect } from "../../http/dialect.ts";
import { createPyflyDoor } from "./routes.ts";

export const PYFLY: Dialect = {
  name: "pyfly",
  profiles: [],
  open: (context) => ({ doors: [createPyflyDoor(context)] }),
};

/** What was built: the version of package.json and the commit that scripts/build.ts put in. */
import { version } from "../../package.json" with { type: "json" };

/** Replaced by a string literal when the executable is built; does not exist in the repository. */
declare const POSTERN_COMMIT: string | undefined;

export const VERSION = version;

export const COMMIT = typeof POSTERN_COMMIT === "string" ? POSTERN_COMMIT : "dev";

/** Whether this runs as the executable, which has no repository around it. */
export const IS_EXECUTABLE = import.meta.path.startsWith("/$bunfs/");

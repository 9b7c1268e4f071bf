/**
 * The ceiling of (m), a process of its own: `bun bench/bare-timers.ts <url> <first at> <count> <gap ms>`.
 * One timer for the next due instant, then one request for each that is due, and nothing on any disk. How
 * late these arrive is what the machine and the receiver make late.
 */
const [url = "", firstAt = "0", count = "0", gapMs = "1"] = process.argv.slice(2);

let next = 0;
const dueAt = (index: number) => Number(firstAt) + Math.floor(index * Number(gapMs));

function send(mark: number): void {
  const body = JSON.stringify({ mark });
  void fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body }).catch(() => {});
}

function wake(): void {
  for (; next < Number(count) && dueAt(next) <= Date.now(); next += 1) send(next);
  if (next < Number(count)) setTimeout(wake, Math.max(0, dueAt(next) - Date.now()));
}

wake();

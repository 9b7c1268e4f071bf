import { expect, test } from "bun:test";
import { NOW, newEvent, newId, newRejection } from "../support/factory.ts";
import { dump, openBareStore, openTestStore } from "../support/store.ts";

const project = "default";

test("an admitted rejection shows its event, and the event keeps the original time", async () => {
  const store = openTestStore();
  const rejection = newRejection();
  await store.reject(rejection);
  const admission = { rejectionId: rejection.id, at: NOW + 5_000, isForced: true };
  const { id } = await store.accept(newEvent({ admission }));
  expect(await store.getRejection({ project, id: rejection.id })).toMatchObject({
    admission: { at: NOW + 5_000, eventId: id, isForced: true },
  });
  expect(await store.getEvent({ project, id })).toMatchObject({ receivedAt: NOW });
});

test("a rejection is admitted once: the second time answers the first event and writes nothing", () => {
  const { apply, db } = openBareStore();
  const rejection = newRejection();
  const admission = { rejectionId: rejection.id, at: NOW, isForced: false };
  apply({ verb: "reject", rejection });
  const first = newEvent({ admission });
  apply({ verb: "accept", event: first });
  const before = dump(db);
  const second = apply({ verb: "accept", event: newEvent({ admission: { ...admission, at: NOW + 1 } }) });
  expect(second).toEqual({ isDuplicate: true, id: first.id });
  expect(dump(db)).toEqual(before);
});

test("a rejection whose dedupe key is known is marked with the event that has it", async () => {
  const store = openTestStore();
  const dedupe = { key: "k", expiresAt: NOW + 60_000 };
  const known = await store.accept(newEvent({ dedupe }));
  const rejection = newRejection();
  await store.reject(rejection);
  const admission = { rejectionId: rejection.id, at: NOW, isForced: false };
  expect(await store.accept(newEvent({ dedupe, admission }))).toEqual({ isDuplicate: true, id: known.id });
  expect(await store.getRejection({ project, id: rejection.id })).toMatchObject({
    admission: { eventId: known.id },
  });
});

test("a rejection that retention took meanwhile does not keep its request out", async () => {
  const store = openTestStore();
  const admission = { rejectionId: newId(), at: NOW, isForced: false };
  expect(await store.accept(newEvent({ admission }))).toMatchObject({ isDuplicate: false });
});

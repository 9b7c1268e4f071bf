import { expect, test } from "bun:test";
import { matchesType } from "../../src/domain/subscription.ts";

test.each<[string, string | null, boolean]>([
  ["invoice.paid", "invoice.paid", true],
  ["invoice.paid", "Invoice.paid", false],
  ["invoice.paid", "invoice.paid.late", false],
  ["invoice.*", "invoice.paid", true],
  ["invoice.*", "invoice.paid.late", true],
  ["invoice.*", "invoice", false],
  ["invoice.*", "invoice.", false],
  ["invoice.*", "invoices.paid", false],
  ["invoice.*", "INVOICE.paid", false],
  ["invoice.*", null, false],
  ["a.b.*", "a.b.c", true],
  ["a.b.*", "a.c.b", false],
  ["*", "anything", true],
  ["*", null, true],
  ["", null, false],
])("%j and the type %j: %j", (pattern, type, expected) => {
  expect(matchesType(pattern, type)).toBe(expected);
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as data from "../../dev/fixtures";
import { mutate, paths, wrongs } from "../test/mutations";
import { decode } from "./decode";
import * as models from "./models";

const answers: [string, Parameters<typeof decode>[0], unknown][] = [
  [
    "run",
    models.run,
    { ...data.runs[data.ids.outage], error: { code: "limit", message: "m" }, metadata: { a: "b" }, parent: "p" },
  ],
  ["step", models.step, data.steps[data.ids.done]?.[1]],
  ["message", models.message, data.messages[data.ids.done]?.[1]],
  ["approval", models.approval, { ...data.approvals[0], decided_by: "user:ada", decided_at: data.at(0) }],
  ["agent", models.agentStatus, data.agents[5]],
  ["service", models.service, data.services[0]],
  ["model", models.model, data.models[0]],
  ["model's health", models.modelHealth, data.modelHealth[1]],
  ["route", models.modelRoute, data.modelRoutes[0]],
  ["model's test", models.modelTest, data.modelTest("fast")],
  ["key", models.apiKey, data.keys[0]],
  ["me", models.me, data.me],
  ["overview", models.overview, data.overview],
  ["list of runs", models.page(models.run), { items: [data.runs[data.ids.done]], next: "x" }],
];

describe("decoding", () => {
  it.each(answers)("keeps what is right of a %s", (_, schema, answer) => {
    const decoded = decode(schema, answer);
    expect(decoded).toEqual(decode(schema, decoded));
    expect(JSON.stringify(decoded)).not.toContain('"unknown"');
  });

  it.each(answers)("keeps the form of a %s, whatever is wrong with one field", (_, schema, answer) => {
    const right = decode(schema, answer) as Record<string, unknown>;
    for (const path of paths(answer)) {
      for (const wrong of Object.values(wrongs)) {
        const decoded = decode(schema, mutate(answer, path, wrong)) as Record<string, unknown>;
        for (const key of Object.keys(right)) {
          if (key === "arguments" || key === "output") continue; // any JSON
          const form = kind(decoded[key]);
          expect([kind(right[key]), "null"], `${key} after ${path.join(".")}`).toContain(form);
        }
      }
    }
  });

  it("never fails on anything at all", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...answers), (value, [, schema]) => {
        expect(() => decode(schema, value)).not.toThrow();
      }),
    );
  });

  it("leaves out entries of a list that are no objects, and keeps the others", () => {
    const page = decode(models.page(models.service), { items: [null, data.services[0], "x", [1], { name: 7 }] });
    expect(page.items.map((s) => s.name)).toEqual(["database", ""]);
  });

  it("reads an unknown word as unknown and a missing or impossible time as none", () => {
    expect(decode(models.service, { state: "sleeping" }).state).toBe("unknown");
    expect(decode(models.run, { status: 5 }).status).toBe("unknown");
    for (const time of ["yesterday", "0001-01-01T00:00:00Z", "", 12, null]) {
      expect(decode(models.run, { created_at: time }).created_at).toBeNull();
    }
  });
});

const kind = (value: unknown) => (value === null ? "null" : Array.isArray(value) ? "list" : typeof value);

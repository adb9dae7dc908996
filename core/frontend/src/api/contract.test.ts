/**
 * Holds the console against the server's own description (schema.d.ts is generated from docs/openapi.json by
 * `npm run gen`): a field, word or call that the server does not know fails here, most of it at type checking already.
 */
import { readFileSync } from "node:fs";
import { describe, expect, expectTypeOf, it } from "vitest";
import type * as z from "zod/mini";
import type { NewKey, StartRun, Trial, Verdict } from "./actions";
import type * as models from "./models";
import type { components } from "./schema";

type Api = components["schemas"];

/** Fields that the console reads and the server does not send; must be never. */
type Foreign<Read, Sent> = Exclude<keyof Read, keyof Sent>;
/** Words that the server may send and the console does not know; must be never. */
type Missing<Sent, Read> = Exclude<NonNullable<Sent>, Read>;

describe("the API's description", () => {
  it("has every field that is read", () => {
    expectTypeOf<Foreign<models.Run, Api["Run"]>>().toBeNever();
    expectTypeOf<Foreign<models.Step, Api["Step"]>>().toBeNever();
    expectTypeOf<Foreign<models.Message, Api["Message"]>>().toBeNever();
    expectTypeOf<Foreign<models.Approval, Api["Approval"]>>().toBeNever();
    expectTypeOf<Foreign<models.Agent, Api["Agent"]>>().toBeNever();
    expectTypeOf<Foreign<models.AgentStatus, Api["AgentStatus"]>>().toBeNever();
    expectTypeOf<Foreign<models.Service, Api["Service"]>>().toBeNever();
    expectTypeOf<Foreign<models.Model, Api["Model"]>>().toBeNever();
    expectTypeOf<Foreign<models.ModelHealth, Api["ModelHealth"]>>().toBeNever();
    expectTypeOf<Foreign<models.ModelRoute, Api["ModelRoute"]>>().toBeNever();
    expectTypeOf<Foreign<models.ModelRoute["targets"][number], Api["ModelRouteTarget"]>>().toBeNever();
    expectTypeOf<Foreign<models.ModelTest, Api["ModelTest"]>>().toBeNever();
    expectTypeOf<Foreign<models.ModelTest["attempts"][number], Api["Attempt"]>>().toBeNever();
    expectTypeOf<Foreign<models.ApiKey, Api["APIKey"]>>().toBeNever();
    expectTypeOf<Foreign<z.infer<typeof models.createdKey>, Api["CreatedKey"]>>().toBeNever();
    expectTypeOf<Foreign<models.Me, Api["Me"]>>().toBeNever();
    expectTypeOf<Foreign<models.SetupState, Api["Setup"]>>().toBeNever();
    expectTypeOf<Foreign<models.Overview, Api["Overview"]>>().toBeNever();
    expectTypeOf<Foreign<models.AttentionEntry, Api["Attention"]>>().toBeNever();
  });

  it("has no word that is not known here", () => {
    expectTypeOf<Missing<Api["Run"]["status"], models.Run["status"]>>().toBeNever();
    expectTypeOf<Missing<Api["Run"]["wait_reason"], models.Run["wait_reason"]>>().toBeNever();
    expectTypeOf<Missing<Api["Step"]["kind"], models.Step["kind"]>>().toBeNever();
    expectTypeOf<Missing<Api["Step"]["status"], models.Step["status"]>>().toBeNever();
    expectTypeOf<Missing<Api["Step"]["effect"], models.Step["effect"]>>().toBeNever();
    expectTypeOf<Missing<Api["Message"]["role"], models.Message["role"]>>().toBeNever();
    expectTypeOf<Missing<Api["Approval"]["reason"], models.Approval["reason"]>>().toBeNever();
    expectTypeOf<Missing<Api["Approval"]["status"], models.Approval["status"]>>().toBeNever();
    expectTypeOf<Missing<Api["Service"]["state"], models.Service["state"]>>().toBeNever();
    expectTypeOf<Missing<Api["Attention"]["kind"], models.AttentionEntry["kind"]>>().toBeNever();
  });

  it("takes what is sent", () => {
    expectTypeOf<StartRun>().toExtend<Api["Start"]>();
    expectTypeOf<Verdict>().toExtend<Api["DecideInput"]>();
    expectTypeOf<Trial>().toExtend<Api["ModelTestInput"]>();
    expectTypeOf<NewKey["name"]>().toExtend<Api["CreateKeyInput"]["name"]>();
  });

  it("has every call that is made", () => {
    const { paths } = JSON.parse(readFileSync("../../docs/openapi.json", "utf8")) as { paths: Record<string, object> };
    const known = new Set(
      Object.entries(paths).flatMap(([path, calls]) =>
        Object.keys(calls).map(
          (method) => `${method.toUpperCase()} ${path.replace("/api/v1", "").replaceAll(/\{\w+\}/g, "*")}`,
        ),
      ),
    );
    const sources = import.meta.glob<string>(["../**/*.{ts,tsx}", "!../**/*.test.*"], {
      query: "?raw",
      import: "default",
      eager: true,
    });
    const made = Object.values(sources).flatMap((source) =>
      [...source.matchAll(/request\("(GET|POST|DELETE)", ["`]([^"`]+)["`]/g)].map(
        (m) => `${m[1]} ${m[2]?.replaceAll(/\$\{[^}]*\}/g, "*")}`,
      ),
    );
    expect(made.length).toBeGreaterThan(20);
    expect(made.filter((call) => !known.has(call))).toEqual([]);
  });
});

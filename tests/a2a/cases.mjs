// Runs cases one after the other and tells of each on a line of JSON.
const cases = [];

export const test = (name, run) => cases.push({ name, run });

export const is = (got, want, what) => {
  const a = JSON.stringify(got), b = JSON.stringify(want);
  if (a !== b) throw new Error(`${what ?? "it"} is ${a}, not ${b}`);
};

export const ok = (value, what) => {
  if (!value) throw new Error(what);
};

export const fails = async (run, word) => {
  try {
    await run();
  } catch (err) {
    const text = `${err.name} ${err.constructor?.name} ${err.code ?? ""} ${err.message}`;
    if (!text.includes(word)) throw new Error(`it fails with "${text}", which does not say ${word}`);
    return err;
  }
  throw new Error(`it does not fail with ${word}`);
};

export const finish = async () => {
  let failed = 0;
  for (const { name, run } of cases) {
    const began = performance.now();
    const line = { name };
    try {
      await Promise.race([run(), new Promise((_, no) => setTimeout(() => no(new Error("it takes longer than 60 s")), 60_000).unref())]);
    } catch (err) {
      line.error = err.stack ?? String(err);
      failed++;
    }
    line.seconds = (performance.now() - began) / 1000;
    console.log(JSON.stringify(line));
  }
  process.exit(failed ? 1 : 0);
};

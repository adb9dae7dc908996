// Runs cases one after the other and tells about each in one line of JSON: {name, seconds, error}.
export function cases() {
  let failed = 0;
  return {
    async check(name, fn) {
      const began = Date.now();
      let error = "";
      try {
        await fn();
      } catch (e) {
        failed++;
        error = String(e?.stack ?? e);
      }
      console.log(JSON.stringify({ name, seconds: (Date.now() - began) / 1000, error }));
    },
    finish() {
      process.exit(failed === 0 ? 0 : 1);
    },
  };
}

/**
 * Run before a gateway's own first line: at SIGUSR2 the process is thrown at from everywhere that the runtime calls. A
 * listener of that signal throws itself.
 */
process.on("SIGUSR2", () => {
  setTimeout(() => {
    throw new Error("of a timer");
  });
  setImmediate(() => {
    throw new Error("of an immediate");
  });
  queueMicrotask(() => {
    throw new Error("of a microtask");
  });
  void Promise.reject(new Error("of a rejection"));
  throw new Error("of a signal");
});

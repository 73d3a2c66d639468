/**
 * Run before a gateway's own first line: at SIGUSR2 the process prints the longest turn of its event loop since the last
 * time, and its memory. A turn is measured in the CPU time that the process took, so that what else the machine does is
 * not in it; the 5 ms between two looks are.
 */
const LOOK_MS = 5;

let longestUs = 0;
let before = process.cpuUsage();
setInterval(() => {
  const { user, system } = process.cpuUsage(before);
  longestUs = Math.max(longestUs, user + system);
  before = process.cpuUsage();
}, LOOK_MS).unref();

process.on("SIGUSR2", () => {
  console.log(JSON.stringify({ longestTurnMs: longestUs / 1000, rssMiB: process.memoryUsage.rss() / 1024 / 1024 }));
  longestUs = 0;
});

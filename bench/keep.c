// keep SECONDS COMMAND...: runs the command as this very process, with a life that ends: by SIGALRM after so many
// seconds (an alarm outlives exec), and by SIGTERM when the process that started it is gone. So that no server
// under test is left over, however the bench ends.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int words, char **word) {
  if (words < 3) return fputs("keep SECONDS COMMAND...\n", stderr), 2;
  pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) return 2; // it went before the line above
  struct rlimit files;
  if (!getrlimit(RLIMIT_NOFILE, &files)) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  alarm((unsigned)atoi(word[1]));
  execvp(word[2], word + 2);
  perror(word[2]);
  return 2;
}

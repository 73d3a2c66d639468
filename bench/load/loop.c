#define _GNU_SOURCE
#include "loop.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int epoll_fd = -1, timer_fd = -1;
static int64_t run_ends;

static void timer_ready(Source *source, uint32_t events) {
  (void)source, (void)events;
  uint64_t times;
  if (read(timer_fd, &times, sizeof times) < 0 && errno != EAGAIN) fail("timer: %s", strerror(errno));
}

static Source timer = {timer_ready};

void loop_init(double limit_s) {
  run_ends = now_ns() + (int64_t)(limit_s * 1e9);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (epoll_fd < 0 || timer_fd < 0) fail("epoll: %s", strerror(errno));
  loop_watch(&timer, timer_fd, EPOLLIN, false);
}

void loop_watch(Source *source, int fd, uint32_t events, bool known) {
  struct epoll_event e = {.events = events, .data.ptr = source};
  if (epoll_ctl(epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e)) fail("epoll: %s", strerror(errno));
}

void loop_forget(int fd) { epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL); }

bool loop_over(void) { return now_ns() >= run_ends; }

void loop_wake_at(int64_t at) {
  struct itimerspec when = {.it_value = {at / 1000000000, at % 1000000000}};
  timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

bool loop_until(bool (*done)(void), void (*tick)(void), int64_t deadline) {
  struct epoll_event ready[1024];
  while (!done()) {
    if (loop_over() || (deadline && now_ns() >= deadline)) return false;
    if (tick) tick();
    int count = epoll_wait(epoll_fd, ready, 1024, 10);
    if (count < 0 && errno != EINTR) fail("epoll: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
      Source *source = ready[i].data.ptr;
      source->ready(source, ready[i].events);
    }
  }
  return true;
}

static struct in_addr own_address(uint32_t nth) {
  uint32_t process = (uint32_t)getpid() % 16000 + 1; // 127.x.y.z, where z moves on every 20,000 sockets
  return (struct in_addr){htonl(127u << 24 | process << 8 | (2 + nth / 20000) % 250)};
}

int dial(const char *host, int port, uint32_t nth) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0) fail("socket: %s (descriptor limit? see ulimit -n)", strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &to.sin_addr) != 1) fail("--host takes an IPv4 address, not %s", host);
  if (ntohl(to.sin_addr.s_addr) >> 24 == 127) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = own_address(nth)};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (void *)&from, sizeof from)) fail("bind: %s", strerror(errno));
  }
  if (connect(fd, (void *)&to, sizeof to) && errno != EINPROGRESS) fail("connect: %s", strerror(errno));
  return fd;
}

char *loop_bytes(void) {
  static char bytes[LOOP_BYTES];
  return bytes;
}

/* A server of OpenAI's chat completions that costs next to nothing: what is measured is the client.

   POST .../chat/completions        a completion that depends on the body alone, after a latency
   POST /after/50ms/...             the same, after a latency of its own
   GET  .../models                  the one model there is
   GET  /stats, GET /stats?reset    what was done so far; the latter then begins anew

   One thread on epoll. Usage: server [--port PORT] [--latency MILLISECONDS] [--until-eof]

   It prints its port, and ends on SIGTERM, SIGINT or, with --until-eof, when its standard input is
   closed, as it is when the program that started it is gone. */

#define _GNU_SOURCE

#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512

struct server server;

void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 * MILLISECOND + time.tv_nsec;
}

void watch(int descriptor, uint32_t events, void *tag, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = tag};
    if (epoll_ctl(server.epoll, operation, descriptor, &event) < 0)
        die("epoll_ctl");
}

/* Arm the timer for the reply that is due next. */
static void arm(void)
{
    int64_t next = server.waiting.count > 0 ? server.waiting.replies[0]->due : 0;
    if (next == server.armed)
        return;
    server.armed = next;
    struct itimerspec when = {.it_value = {.tv_sec = next / (1000 * MILLISECOND),
                                           .tv_nsec = next % (1000 * MILLISECOND)}};
    if (timerfd_settime(server.timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        die("timerfd_settime");
}

static void accept_all(void)
{
    for (;;) {
        int socket = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (errno == EMFILE || errno == ENFILE)
                fprintf(stderr, "too many connections\n");
            else if (errno != EAGAIN && errno != EWOULDBLOCK)
                die("accept");
            return;
        }
        int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        open_connection(socket);
    }
}

static void send_what_is_due(void)
{
    server.armed = 0;
    int64_t time = now();
    while (server.waiting.count > 0 && server.waiting.replies[0]->due <= time) {
        struct reply *reply = pop(&server.waiting);
        reply->waiting = false;
        if (reply->connection == NULL)
            free_reply(reply);
        else
            settle(reply->connection);
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        arm();
        int count = epoll_wait(server.epoll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            void *tag = events[i].data.ptr;
            if (tag == &server.signals)
                return;
            if (tag == &server.listener)
                accept_all();
            else if (tag == &server.timer)
                send_what_is_due();
            else
                serve(tag, events[i].events);
        }
        free_closed();
    }
}

static void listen_on(unsigned port)
{
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&address, size) < 0 ||
        listen(server.listener, 4096) < 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) < 0)
        die("listen");
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
}

static unsigned long number(const char *text, unsigned long most)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > most) {
        fprintf(stderr, "expected a number up to %lu, found %s\n", most, text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    unsigned port = 0;
    bool until_eof = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--until-eof") == 0) {
            until_eof = true;
        } else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            port = (unsigned)number(argv[++i], 65535);
        } else if (strcmp(argv[i], "--latency") == 0 && i + 1 < argc) {
            server.latency = (int64_t)number(argv[++i], LONGEST_LATENCY) * MILLISECOND;
        } else {
            fprintf(stderr, "usage: %s [--port PORT] [--latency MILLISECONDS] [--until-eof]\n",
                    argv[0]);
            return 2;
        }
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigset_t stopping;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGINT);
    sigaddset(&stopping, SIGTERM);
    sigprocmask(SIG_BLOCK, &stopping, NULL);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    server.signals = signalfd(-1, &stopping, SFD_NONBLOCK | SFD_CLOEXEC);
    server.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (server.epoll < 0 || server.signals < 0 || server.timer < 0)
        die("epoll, signalfd or timerfd");
    watch(server.signals, EPOLLIN, &server.signals, EPOLL_CTL_ADD);
    /* On its edge, so that nobody has to read how often it rang. */
    watch(server.timer, EPOLLIN | EPOLLET, &server.timer, EPOLL_CTL_ADD);
    if (until_eof) /* nothing is ever sent there, so whatever happens is the end */
        watch(STDIN_FILENO, EPOLLIN, &server.signals, EPOLL_CTL_ADD);
    listen_on(port);
    watch(server.listener, EPOLLIN, &server.listener, EPOLL_CTL_ADD);
    run();
    close_all();
    return EXIT_SUCCESS;
}

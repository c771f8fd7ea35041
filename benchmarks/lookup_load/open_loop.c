// Sends prepared HTTP/1.1 requests at a schedule that is fixed beforehand, and measures each from the moment it was due.
//
//   open_loop HOST PORT CONNECTIONS RATE SECONDS WARM_UP_SECONDS < requests
//
// requests: for each, its length as decimal text, a line break, and its bytes; they are sent in turn, again from the first
// after the last. RATE is in requests per second; 0 means as fast as the connections allow, each waiting for its answer: the
// server's capacity. One line of JSON says what was seen: counts, seconds, and latencies in microseconds.
//
// One thread, one epoll, one request at a time on each connection: the generator shares the machine with the server and must
// cost it little. A request whose time has come while all connections wait is sent late, and the wait is in its latency.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 << 20, CONNECTIONS_MAX = 4096, ANSWER_S_MAX = 10 };

struct request { const char *bytes; size_t length; };
struct connection {
    int fd;
    bool waits;             // for an answer
    double due_s;           // when the request that it carries was due
    char *buffer;
    size_t held;            // bytes of the answer so far
    size_t wanted;          // bytes of the whole answer, 0 while its head is not complete
    const struct request *sends;
    size_t sent;
};

static struct request *requests;
static size_t request_count, next_request;
static struct connection connections[CONNECTIONS_MAX];
static int idle[CONNECTIONS_MAX], idle_count, connection_count, poller;
static struct sockaddr_in address;
static uint32_t *latencies_us;
static size_t latency_count, latency_room;
static uint64_t done, not_2xx, broken, answer_bytes;
static double measure_from_s, measure_to_s;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(const char *what) {
    fprintf(stderr, "open_loop: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void *room(void *old, size_t bytes) {
    void *found = realloc(old, bytes);
    if (!found) fail("no memory");
    return found;
}

static void read_requests(void) {
    char line[32];
    size_t capacity = 0;
    while (fgets(line, sizeof line, stdin)) {
        size_t length = strtoul(line, NULL, 10);
        char *bytes = room(NULL, length + 1);
        if (fread(bytes, 1, length, stdin) != length) { errno = EINVAL; fail("a request is cut short"); }
        if (request_count == capacity) requests = room(requests, (capacity = capacity ? capacity * 2 : 1024) * sizeof *requests);
        requests[request_count++] = (struct request){bytes, length};
    }
    if (!request_count) { errno = EINVAL; fail("no requests on standard input"); }
}

static void open_connection(int at) {
    struct connection *c = &connections[at];
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("cannot connect");
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->waits = false, c->held = c->wanted = 0;
    if (!c->buffer) c->buffer = room(NULL, BUFFER_BYTES);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)at};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event)) fail("epoll");
    idle[idle_count++] = at;
}

static void note(double due_s, double at_s, bool good) {
    if (due_s < measure_from_s || at_s > measure_to_s + ANSWER_S_MAX) return;
    done++;
    if (!good) not_2xx++;
    if (latency_count == latency_room)
        latencies_us = room(latencies_us, (latency_room = latency_room ? latency_room * 2 : 1 << 20) * sizeof *latencies_us);
    latencies_us[latency_count++] = (uint32_t)((at_s - due_s) * 1e6);
}

static void reconnect(int at) {
    struct connection *c = &connections[at];
    if (c->waits && c->due_s >= measure_from_s) broken++;
    close(c->fd);
    open_connection(at);
}

// What is left of the request goes out when the socket takes it.
static bool push(struct connection *c) {
    while (c->sent < c->sends->length) {
        ssize_t n = send(c->fd, c->sends->bytes + c->sent, c->sends->length - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) { usleep(50); continue; }
        if (n < 0) return false;
        c->sent += (size_t)n;
    }
    return true;
}

static void send_one(double due_s) {
    int at = idle[--idle_count];
    struct connection *c = &connections[at];
    c->waits = true, c->due_s = due_s, c->held = c->wanted = 0, c->sent = 0;
    c->sends = &requests[next_request];
    next_request = (next_request + 1) % request_count;
    if (!push(c)) reconnect(at);
}

static void forget_idle(int at) {
    for (int i = 0; i < idle_count; i++)
        if (idle[i] == at) { idle[i] = idle[--idle_count]; return; }
}

static size_t answer_length(struct connection *c) {
    c->buffer[c->held] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->buffer, "\r\ncontent-length:");
    size_t head = (size_t)(end - c->buffer) + 4;
    return head + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void receive(int at) {
    struct connection *c = &connections[at];
    ssize_t n = recv(c->fd, c->buffer + c->held, BUFFER_BYTES - 1 - c->held, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || !c->waits) {  // closed, or an answer that nobody asked for
        forget_idle(at);
        reconnect(at);
        return;
    }
    c->held += (size_t)n;
    if (!c->wanted) c->wanted = answer_length(c);
    if (!c->wanted || c->held < c->wanted) return;
    note(c->due_s, now_s(), c->buffer[9] == '2' || !strncmp(c->buffer + 9, "304", 3));
    answer_bytes += c->held;
    c->waits = false;
    idle[idle_count++] = at;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t percentile(double p) {
    if (!latency_count) return 0;
    size_t rank = (size_t)(p / 100 * (double)latency_count + 0.999999);
    return latencies_us[(rank ? rank : 1) - 1];
}

// The next moment at which a request is due, or none: a request that was due is sent however late, so that an overload shows.
static bool has_next(double rate, double due_s, double at_s) {
    return rate > 0 ? due_s < measure_to_s : at_s < measure_to_s;
}

// Wait for answers, and no longer than until the next request is due.
static void await_answers(double rate, double due_s, bool more) {
    struct epoll_event events[256];
    double gap_s = rate > 0 && more && idle_count ? due_s - now_s() : 0.001;
    if (gap_s > 1e-4 && gap_s < 1e-3) nanosleep(&(struct timespec){0, 50000}, NULL);
    int n = epoll_wait(poller, events, 256, gap_s >= 1e-3 ? 1 : 0);
    for (int i = 0; i < n; i++) receive((int)events[i].data.u32);
}

static void run(double rate, double seconds, double warm_up_s) {
    double started_s = now_s(), due_s = started_s, at_s;
    measure_from_s = started_s + warm_up_s, measure_to_s = measure_from_s + seconds;
    while ((at_s = now_s()) < measure_to_s + ANSWER_S_MAX) {
        while (idle_count && has_next(rate, due_s, at_s) && (rate <= 0 || due_s <= at_s)) {
            send_one(rate > 0 ? due_s : at_s);
            if (rate > 0) due_s += 1 / rate;
        }
        bool more = has_next(rate, due_s, at_s);
        if (!more && idle_count == connection_count) return;
        await_answers(rate, due_s, more);
    }
    for (int at = 0; at < connection_count; at++)
        if (connections[at].waits && connections[at].due_s >= measure_from_s) broken++;
    if (rate > 0 && due_s < measure_to_s) broken += (uint64_t)((measure_to_s - due_s) * rate);
}

int main(int count, char **given) {
    if (count != 7) { fprintf(stderr, "usage: open_loop HOST PORT CONNECTIONS RATE SECONDS WARM_UP_SECONDS\n"); return 2; }
    connection_count = atoi(given[3]);
    if (connection_count < 1 || connection_count > CONNECTIONS_MAX) { fprintf(stderr, "open_loop: CONNECTIONS must be 1 to %d\n", CONNECTIONS_MAX); return 2; }
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(given[2]))};
    if (inet_pton(AF_INET, given[1], &address.sin_addr) != 1) { fprintf(stderr, "open_loop: HOST must be an IPv4 address\n"); return 2; }
    read_requests();
    poller = epoll_create1(0);
    for (int at = 0; at < connection_count; at++) open_connection(at);
    double seconds = atof(given[5]);
    run(atof(given[4]), seconds, atof(given[6]));
    qsort(latencies_us, latency_count, sizeof *latencies_us, by_size);
    printf("{\"answers\":%lu,\"not_2xx\":%lu,\"broken\":%lu,\"seconds\":%.3f,\"per_s\":%.1f,\"answer_bytes\":%lu,"
           "\"p50_us\":%u,\"p90_us\":%u,\"p95_us\":%u,\"p99_us\":%u,\"p999_us\":%u,\"max_us\":%u}\n",
           done, not_2xx, broken, seconds, (double)done / seconds, answer_bytes,
           percentile(50), percentile(90), percentile(95), percentile(99), percentile(99.9), percentile(100));
    return 0;
}

/*
 * The kernel's floor: the traffic of the benchmarks with the smallest possible program around it. One thread, epoll,
 * non-blocking sockets, one read(2) for input and one write(2) per frame. Its cost is what Linux takes for the same packets;
 * no program can be cheaper without sending fewer of them.
 *
 *   floor echo PORT | floor ping PORT | floor broadcast PORT BYTES        (port 0: any)
 *
 * Prints {"listening":PORT}, then one line of JSON for each line read from stdin: `stats`, `ping` (a ping to all clients,
 * answered when all pongs have arrived), `broadcast` (the prebuilt frame to all clients; `broadcast BYTES` changes it), `close`
 * (a close frame to all clients, answered when all have gone), `quit`. It also ends with its stdin.
 *
 * It implements what the load client needs of WebSocket: no fragments, no frame above 4 KB from a client, no checks.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 4096, EVENTS = 1024, PATIENCE = 5000 /* ms */ };
enum { CLOSE = 8, PING = 9, PONG = 10 };

struct connection { int used; char accepted, open; unsigned char bytes[BUFFER]; };

static struct connection *connections; /* by descriptor */
static int limit, highest, epoll, listener, echoing, closing;
static unsigned char message[65539];
static size_t message_length;
static long open_count, pongs, refused;

static long long micros(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static long long cpu_micros(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void fail(const char *what) { perror(what); exit(1); }

static void watch(int descriptor) {
  struct epoll_event event = { .events = EPOLLIN, .data.fd = descriptor };
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0) fail("epoll_ctl");
}

static void drop(int descriptor) {
  if (connections[descriptor].open) open_count--;
  connections[descriptor] = (struct connection){ 0 };
  close(descriptor);
}

/* A frame that the kernel takes only in part has spoiled its connection. */
static void send_bytes(int descriptor, const void *bytes, size_t length) {
  if (write(descriptor, bytes, length) == (ssize_t)length) return;
  refused++;
  drop(descriptor);
}

/* RFC 3174. */
static void sha1(const unsigned char *text, size_t length, unsigned char digest[20]) {
  unsigned char block[192] = { 0 };
  uint32_t h[5] = { 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0 }, w[80];
  size_t blocks = (length + 9 + 63) / 64;
  memcpy(block, text, length);
  block[length] = 0x80;
  block[blocks * 64 - 2] = (unsigned char)(length * 8 >> 8);
  block[blocks * 64 - 1] = (unsigned char)(length * 8);
#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))
  for (size_t b = 0; b < blocks; b++) {
    for (int t = 0; t < 16; t++) {
      const unsigned char *p = block + b * 64 + t * 4;
      w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (int t = 16; t < 80; t++) w[t] = ROTATE(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    uint32_t a = h[0], b1 = h[1], c = h[2], d = h[3], e = h[4];
    for (int t = 0; t < 80; t++) {
      uint32_t f = t < 20 ? ((b1 & c) | (~b1 & d)) + 0x5A827999 : t < 40 ? (b1 ^ c ^ d) + 0x6ED9EBA1
        : t < 60 ? ((b1 & c) | (b1 & d) | (c & d)) + 0x8F1BBCDC : (b1 ^ c ^ d) + 0xCA62C1D6;
      uint32_t next = ROTATE(a, 5) + f + e + w[t];
      e = d; d = c; c = ROTATE(b1, 30); b1 = a; a = next;
    }
    h[0] += a; h[1] += b1; h[2] += c; h[3] += d; h[4] += e;
  }
  for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(h[i / 4] >> (24 - i % 4 * 8));
}

/* Sec-WebSocket-Accept of a key: RFC 6455 §4.2.2. 20 bytes are 27 characters of base64 and one '='. */
static void accept_key(const char *key, size_t length, char text[29]) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned char joined[128], digest[21] = { 0 };
  memcpy(joined, key, length);
  memcpy(joined + length, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
  sha1(joined, length + 36, digest);
  for (int i = 0; i < 28; i++) {
    int bit = i * 6, pair = digest[bit / 8] << 8 | (bit / 8 < 20 ? digest[bit / 8 + 1] : 0);
    text[i] = digits[pair >> (10 - bit % 8) & 63];
  }
  text[27] = '=';
  text[28] = 0;
}

/* Answers a complete request; returns the bytes that it took, 0 where more must come, -1 where it is none of ours. */
static int handshake(int descriptor, struct connection *connection) {
  char *text = (char *)connection->bytes, accepted[29], response[160];
  char *end = memmem(text, (size_t)connection->used, "\r\n\r\n", 4);
  if (end == NULL) return connection->used < BUFFER ? 0 : -1;
  *end = 0;
  char *key = strcasestr(text, "\r\nsec-websocket-key:");
  if (key == NULL) return -1;
  key += 20;
  key += strspn(key, " ");
  size_t length = strcspn(key, " \r\n");
  if (length > 64) return -1;
  accept_key(key, length, accepted);
  int size = snprintf(response, sizeof response,
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accepted);
  connection->open = 1;
  open_count++;
  send_bytes(descriptor, response, (size_t)size);
  return (int)(end + 4 - text);
}

/* Acts on one complete frame; returns the bytes that it took, 0 where more must come, -1 where it is too large. */
static int frame(int descriptor, unsigned char *bytes, int used) {
  if (used < 2) return 0;
  int opcode = bytes[0] & 15, length = bytes[1] & 127, head = 2;
  if (length == 127) return -1;
  if (length == 126) {
    if (used < 4) return 0;
    length = bytes[2] << 8 | bytes[3];
    head = 4;
  }
  unsigned char *mask = bytes + head, *payload = mask + 4;
  int total = head + 4 + length;
  if (total > BUFFER) return -1;
  if (used < total) return 0;
  for (int i = 0; i < length; i++) payload[i] ^= mask[i & 3];
  if (opcode == PONG) pongs++;
  if (opcode == CLOSE && closing) drop(descriptor); /* the answer to ours */
  else if (opcode == CLOSE || opcode == PING || (opcode < CLOSE && echoing)) {
    /* The header of the answer goes where the mask was: it is shorter by its four bytes. */
    unsigned char *answer = payload - head;
    memmove(answer, bytes, (size_t)head);
    if (opcode == PING) answer[0] = 0x80 | PONG;
    answer[1] &= 127;
    send_bytes(descriptor, answer, (size_t)(head + length));
    if (opcode == CLOSE && connections[descriptor].accepted) drop(descriptor);
  }
  return total;
}

static void receive(int descriptor) {
  struct connection *connection = &connections[descriptor];
  ssize_t count = read(descriptor, connection->bytes + connection->used, (size_t)(BUFFER - connection->used));
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) { drop(descriptor); return; }
  connection->used += (int)count;
  int done = 0;
  while (done < connection->used) {
    int taken = connection->open ? frame(descriptor, connection->bytes + done, connection->used - done) : handshake(descriptor, connection);
    if (!connection->accepted) return; /* dropped */
    if (taken < 0) { drop(descriptor); return; }
    if (taken == 0) break;
    done += taken;
  }
  connection->used -= done;
  if (done > 0 && connection->used > 0) memmove(connection->bytes, connection->bytes + done, (size_t)connection->used);
}

static void accept_all(void) {
  int descriptor, on = 1;
  while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections[descriptor].accepted = 1;
    if (descriptor > highest) highest = descriptor;
    watch(descriptor);
  }
  if (errno != EAGAIN && errno != ECONNABORTED) fail("accept");
}

/* One turn of the event loop; returns whether there is something on stdin. */
static int turn(int timeout) {
  static struct epoll_event events[EVENTS];
  int commands = 0, count = epoll_wait(epoll, events, EVENTS, timeout);
  for (int i = 0; i < count; i++) {
    int descriptor = events[i].data.fd;
    if (descriptor == STDIN_FILENO) commands = 1;
    else if (descriptor == listener) accept_all();
    else if (connections[descriptor].accepted) receive(descriptor);
  }
  return commands;
}

static void send_all(const void *bytes, size_t length) {
  for (int descriptor = 0; descriptor <= highest; descriptor++) {
    if (connections[descriptor].open) send_bytes(descriptor, bytes, length);
  }
}

/* Text frame of that many letters. */
static void build_message(size_t size) {
  if (size > 65535) size = 65535;
  size_t head = size < 126 ? 2 : 4;
  message[0] = 0x81;
  message[1] = (unsigned char)(size < 126 ? size : 126);
  if (head == 4) { message[2] = (unsigned char)(size >> 8); message[3] = (unsigned char)size; }
  memset(message + head, 'x', size);
  message_length = head + size;
}

static void command(const char *line) {
  static const unsigned char ping[] = { 0x80 | PING, 0 }, goodbye[] = { 0x80 | CLOSE, 2, 1012 >> 8, 1012 & 255 };
  if (strncmp(line, "broadcast ", 10) == 0) build_message((size_t)atol(line + 10));
  long long started = micros();
  int pinging = strcmp(line, "ping") == 0;
  closing = strcmp(line, "close") == 0;
  if (strcmp(line, "quit") == 0) exit(0);
  if (strncmp(line, "broadcast", 9) == 0) send_all(message, message_length);
  if (pinging || closing) {
    pongs = 0;
    send_all(pinging ? ping : goodbye, pinging ? sizeof ping : sizeof goodbye);
    epoll_ctl(epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    while ((closing ? open_count > 0 : pongs < open_count) && micros() < started + PATIENCE * 1000LL) turn(100);
    watch(STDIN_FILENO);
  }
  closing = 0;
  printf("{\"cpuMicros\":%lld,\"connections\":%ld,\"pongs\":%ld,\"refused\":%ld,\"micros\":%lld}\n",
    cpu_micros(), open_count, pongs, refused, micros() - started);
}

int main(int count, char **arguments) {
  int broadcasting = count >= 2 && strcmp(arguments[1], "broadcast") == 0;
  echoing = count >= 2 && strcmp(arguments[1], "echo") == 0;
  if (count != (broadcasting ? 4 : 3) || !(broadcasting || echoing || strcmp(arguments[1], "ping") == 0)) {
    fputs("usage: floor echo PORT | floor ping PORT | floor broadcast PORT BYTES\n", stderr);
    return 2;
  }

  build_message(broadcasting ? (size_t)atol(arguments[3]) : 0);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  limit = files.rlim_max > 1 << 20 ? 1 << 20 : (int)files.rlim_max;
  files.rlim_cur = (rlim_t)limit;
  setrlimit(RLIMIT_NOFILE, &files);
  connections = calloc((size_t)limit, sizeof *connections); /* pages are taken when they are written to */
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);

  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t length = sizeof address;
  int on = 1;
  epoll = epoll_create1(0);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, length) < 0) fail("bind");
  if (listen(listener, 4096) < 0) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  watch(listener);
  watch(STDIN_FILENO);
  printf("{\"listening\":%d}\n", ntohs(address.sin_port));

  char lines[1024];
  size_t used = 0;
  for (;;) {
    if (!turn(-1)) continue;
    ssize_t got = read(STDIN_FILENO, lines + used, sizeof lines - 1 - used);
    if (got <= 0) return 0;
    used += (size_t)got;
    lines[used] = 0;
    for (char *end; (end = strchr(lines, '\n')) != NULL;) {
      *end = 0;
      command(lines);
      used -= (size_t)(end + 1 - lines);
      memmove(lines, end + 1, used + 1);
    }
  }
}

/* ESP alone, without IKE: bursts of packets are sealed and opened in place by a worker of a plane with manual keys.
 * What a packet costs when the library is called from C; bindings/c/examples/esp_bench.rs does the same from Rust, and
 * bench.sh runs them by turns.
 *
 *     cc -std=c11 -O2 esp_bench.c $(pkg-config --cflags --libs ravelin) -o esp_bench
 *     ./esp_bench [octets per packet] [packets per burst] [bursts]
 *
 * prints nanoseconds per packet, sealed and opened: the lower quartile over laps of 64 bursts, so that what else the machine
 * does disturbs little. */
#define _POSIX_C_SOURCE 200809L
#include <ravelin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 256, CAP = 2048, LAP = 64, LAPS = 65536 };
static uint8_t buffers[MOST][CAP];
static ravelin_packet out[MOST];
static ravelin_datagram in[MOST];
static uint64_t laps[LAPS];

static void must(ravelin_status status) {
    if (status != RAVELIN_STATUS_CODE_OK) {
        fprintf(stderr, "esp_bench: %s\n", ravelin_status_name(status));
        exit(1);
    }
}

static uint64_t nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void install(ravelin_plane *plane, bool inbound) {
    static const uint8_t key[20] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    ravelin_selector ours = {.family = 4, .last_port = 65535, .first = {10, 1, 0, 0}, .last = {10, 1, 255, 255}};
    ravelin_selector theirs = {.family = 4, .last_port = 65535, .first = {10, 2, 0, 0}, .last = {10, 2, 255, 255}};
    ravelin_endpoint here = {.family = 4, .port = 4500, .addr = {192, 0, 2, 1}};
    ravelin_endpoint there = {.family = 4, .port = 4500, .addr = {192, 0, 2, 2}};
    ravelin_sa sa = {.child = inbound ? 2 : 1, .spi = 0x1000, .direction = !inbound, .protocol = 50, .encapsulation = 1,
                     .encr = 20, .key_bits = 128, .encr_key = {key, sizeof key}, .replay_window = inbound ? 1024 : 0,
                     .path = {inbound ? there : here, inbound ? here : there},
                     .local_ts = inbound ? &theirs : &ours, .local_ts_len = 1,
                     .remote_ts = inbound ? &ours : &theirs, .remote_ts_len = 1};
    ravelin_change change = {.kind = inbound ? RAVELIN_CHANGE_KIND_INSTALL_INBOUND : RAVELIN_CHANGE_KIND_INSTALL_OUTBOUND,
                             .sa = &sa};
    must(ravelin_plane_apply(plane, 0, &change));
}

int main(int argc, char **argv) {
    size_t octets = argc > 1 ? strtoul(argv[1], NULL, 10) : 1400;
    size_t burst = argc > 2 ? strtoul(argv[2], NULL, 10) : 32;
    size_t bursts = argc > 3 ? strtoul(argv[3], NULL, 10) : 20000;
    uint8_t seed[32] = {5};
    uint8_t ip[28] = {0x45, 0, (uint8_t)(octets >> 8), (uint8_t)octets, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 0, 9, 0, 9};
    size_t before, behind;
    ravelin_plane *plane;
    ravelin_worker *worker;
    must(ravelin_plane_new(NULL, seed, sizeof seed, &plane));
    install(plane, false);
    install(plane, true);
    must(ravelin_worker_new(plane, &worker));
    must(ravelin_plane_room(plane, &before, &behind));
    if (octets < sizeof ip || before + octets + behind > CAP || burst == 0 || burst > MOST)
        return 2;

    /* what stays the same from burst to burst is written once */
    for (size_t i = 0; i < burst; i++)
        out[i] = (ravelin_packet){.buf = buffers[i], .cap = CAP, .child = 1};

    uint64_t began = nanoseconds();
    size_t count = 0;
    for (size_t n = 0; n < bursts; n++) {
        uint64_t now_us = n;
        if (n % LAP == 0 && n > 0 && count < LAPS) {
            uint64_t t = nanoseconds();
            laps[count++] = t - began;
            began = t;
        }
        for (size_t i = 0; i < burst; i++) {
            memcpy(buffers[i] + before, ip, sizeof ip);
            out[i].offset = before;
            out[i].len = octets;
        }
        must(ravelin_worker_seal(worker, now_us, out, burst));
        for (size_t i = 0; i < burst; i++) {
            const ravelin_egress *sent = &out[i].result;
            if (sent->kind != RAVELIN_EGRESS_KIND_SENT)
                return 3;
            in[i].path.local = sent->path.remote;
            in[i].path.remote = sent->path.local;
            in[i].data = buffers[i] + sent->offset;
            in[i].len = sent->len;
        }
        must(ravelin_worker_open(worker, now_us, in, burst));
        for (size_t i = 0; i < burst; i++)
            if (in[i].result.kind != RAVELIN_INGRESS_KIND_DELIVER || in[i].result.len != octets)
                return 4;
    }
    if (count == 0)
        return 2;
    qsort(laps, count, sizeof laps[0], by_size);
    printf("%.1f\n", (double)laps[count / 4] / (double)(LAP * burst));
    must(ravelin_worker_free(worker));
    must(ravelin_plane_free(plane));
    return 0;
}

/* Misuse: each mistake gets a status, never silence. What the contract cannot detect (a handle used after it was freed, in
 * a release build) is left to the sanitizers. */
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>

/* Every function with NULL wherever a pointer is taken: a status, nothing written, nothing read. */
static void null(void) {
    uint32_t n32;
    uint64_t n64;
    size_t a;
    bool b;
    const char *text;
    const uint8_t *data;
    ravelin_config *c = NULL;
    ravelin_ingress in;
    ravelin_egress out;
    ravelin_path path;
    ravelin_ticket ticket = {0, 0};
    ravelin_header header;
    ravelin_payload payload;
    uint8_t octets[32] = {0};
#define NULLS(call) IS(call, RAVELIN_STATUS_CODE_NULL_POINTER)
    memset(&path, 0, sizeof path);
    NULLS(ravelin_config_new(NULL));
    NULLS(ravelin_config_error(NULL, &text));
    NULLS(ravelin_config_error_place(NULL, &n32, &n32, &text));
    NULLS(ravelin_config_load_toml(NULL, "", 0, NULL));
    NULLS(ravelin_config_restore(NULL, "", 0));
    NULLS(ravelin_node_save(NULL, false, &text, &a));
    NULLS(ravelin_node_reload(NULL, now, c, &text));
    NULLS(ravelin_config_ports(NULL, 1, 2, 3));
    NULLS(ravelin_config_add_peer(NULL, "a", "b", "c", &n32));
    NULLS(ravelin_config_peer(NULL, 0, NULL));
    NULLS(ravelin_config_find_peer(NULL, "a", &n32));
    NULLS(ravelin_config_gateway(NULL, NULL));
    OK(ravelin_config_new(&c));
    NULLS(ravelin_config_error(c, NULL));
    NULLS(ravelin_config_load_toml(c, NULL, 5, NULL));
    NULLS(ravelin_config_add_peer(c, NULL, "b", "c", &n32));
    NULLS(ravelin_config_add_peer(c, "a", "b", "c", NULL));
    OK(ravelin_config_add_peer(c, "a", "b", "c", &n32));
    NULLS(ravelin_config_peer_psk(c, n32, NULL, 4));
    NULLS(ravelin_config_peer_auth(c, n32, NULL, "psk"));
    NULLS(ravelin_config_peer_proposals(c, n32, NULL));
    NULLS(ravelin_config_peer_credential(c, n32, NULL, 1, octets, 4));
    NULLS(ravelin_config_peer_anchor(c, n32, NULL, 4));
    NULLS(ravelin_config_add_child(c, n32, "x", "10.0.0.0/8", "10.0.0.0/8", NULL, NULL));
    NULLS(ravelin_config_add_child(c, n32, "x", NULL, "10.0.0.0/8", NULL, &n32));
    NULLS(ravelin_config_find_policy(c, NULL, &n32));
    NULLS(ravelin_config_peer(c, 0, NULL));

    ravelin_node *node = NULL;
    NULLS(ravelin_node_new(NULL, octets, 32, &node));
    NULLS(ravelin_node_new(c, NULL, 32, &node));
    NULLS(ravelin_node_new(c, octets, 32, NULL));
    CHECK(node == NULL);
    OK(ravelin_node_new(c, octets, 32, &node));
    NULLS(ravelin_node_handle_datagram(NULL, now, &path, octets, 32, &in));
    NULLS(ravelin_node_handle_datagram(node, now, NULL, octets, 32, &in));
    path.local.family = path.remote.family = 4;
    NULLS(ravelin_node_handle_datagram(node, now, &path, NULL, 32, &in));
    NULLS(ravelin_node_handle_datagram(node, now, &path, octets, 32, NULL));
    NULLS(ravelin_node_handle_esp(node, now, &path, NULL, NULL, 1, &in));
    NULLS(ravelin_node_handle_packet(node, now, NULL, NULL, 20, octets, 32, &out));
    NULLS(ravelin_node_handle_packet(node, now, NULL, octets, 20, NULL, 32, &out));
    NULLS(ravelin_node_handle_packet(node, now, NULL, octets, 20, octets, 32, NULL));
    NULLS(ravelin_node_handle_datagrams(node, now, NULL, 1));
    NULLS(ravelin_node_handle_packets(node, now, NULL, NULL, 1));
    OK(ravelin_node_handle_datagrams(node, now, NULL, 0));
    NULLS(ravelin_node_handle_timeout(NULL, now));
    NULLS(ravelin_node_handle_report(node, now, NULL));
    NULLS(ravelin_node_deadline(node, NULL));
    NULLS(ravelin_node_deadline(NULL, &n64));
    NULLS(ravelin_node_initiate(node, now, 1, 0, NULL));
    NULLS(ravelin_node_roam(node, now, 1, NULL));
    NULLS(ravelin_node_set_addresses(node, now, NULL, 1));
    NULLS(ravelin_node_is_idle(node, NULL));
    NULLS(ravelin_node_is_idle(NULL, &b));
    NULLS(ravelin_node_room(node, &a, NULL));
    NULLS(ravelin_node_poll_output(node, NULL));
    NULLS(ravelin_node_output_datagram(node, NULL, &data, &a, octets));
    NULLS(ravelin_node_output_change(node, NULL));
    NULLS(ravelin_node_output_event(node, NULL));
    NULLS(ravelin_node_output_ask(node, NULL));
    NULLS(ravelin_node_output_keylog(node, 0, NULL, &text));
    NULLS(ravelin_node_snapshot(node, now, NULL));
    NULLS(ravelin_node_policy(node, 0, NULL));
    NULLS(ravelin_node_answer_secret(node, now, ticket, NULL, 1));
    NULLS(ravelin_node_answer_refused(node, now, ticket, NULL));
    NULLS(ravelin_node_plane(node, NULL));
    OK(ravelin_node_free(node));
    OK(ravelin_config_free(c));

    ravelin_plane *plane = NULL;
    ravelin_worker *worker = NULL;
    NULLS(ravelin_plane_new(NULL, NULL, 32, &plane));
    OK(ravelin_plane_new(NULL, octets, 32, &plane));
    NULLS(ravelin_plane_apply(plane, 0, NULL));
    NULLS(ravelin_plane_apply(NULL, 0, NULL));
    NULLS(ravelin_plane_open(plane, 0, NULL, NULL, octets, 32, &in));
    NULLS(ravelin_plane_seal(plane, 0, 1, 0, NULL, 1, octets, 32, &out));
    NULLS(ravelin_plane_poll_report(plane, NULL));
    NULLS(ravelin_worker_new(NULL, &worker));
    NULLS(ravelin_worker_new(plane, NULL));
    OK(ravelin_worker_new(plane, &worker));
    NULLS(ravelin_worker_open(worker, 0, NULL, 3));
    NULLS(ravelin_worker_seal(worker, 0, NULL, 3));
    OK(ravelin_worker_free(worker));
    OK(ravelin_plane_free(plane));

    ravelin_message *m = NULL;
    NULLS(ravelin_message_new(NULL));
    OK(ravelin_message_new(&m));
    NULLS(ravelin_message_decode(m, NULL, 28));
    NULLS(ravelin_message_decode(NULL, octets, 28));
    NULLS(ravelin_message_text(m, NULL));
    NULLS(ravelin_message_encode(m, &data, NULL));
    NULLS(ravelin_message_add(m, NULL));
    NULLS(ravelin_message_header(m, NULL));
    NULLS(ravelin_message_payload(NULL, 0, &payload));
    OK(ravelin_message_header(m, &header));
    OK(ravelin_message_free(m));

    OK(ravelin_config_free(NULL));
    OK(ravelin_node_free(NULL));
    OK(ravelin_plane_free(NULL));
    OK(ravelin_worker_free(NULL));
    OK(ravelin_snapshot_free(NULL));
    OK(ravelin_message_free(NULL));
}

/* Freed twice, or freed as something else: detected, nothing is harmed. */
static void freed_twice(void) {
    ravelin_config *config = configure(0, true);
    int local = 0;
    IS(ravelin_node_free((ravelin_node *)(void *)config), RAVELIN_STATUS_CODE_NO_HANDLE);
    IS(ravelin_config_free((ravelin_config *)(void *)&local), RAVELIN_STATUS_CODE_NO_HANDLE);
    OK(ravelin_config_free(config));
    IS(ravelin_config_free(config), RAVELIN_STATUS_CODE_NO_HANDLE);
    ravelin_node *node = make(0, configure(0, true));
    ravelin_snapshot *snapshot;
    OK(ravelin_node_snapshot(node, now, &snapshot));
    OK(ravelin_node_free(node));
    IS(ravelin_node_free(node), RAVELIN_STATUS_CODE_NO_HANDLE);
    OK(ravelin_snapshot_free(snapshot)); /* it outlives its node */
    IS(ravelin_snapshot_free(snapshot), RAVELIN_STATUS_CODE_NO_HANDLE);
}

/* Lengths and numbers outside their range. Out-parameters stay as they were. */
static void ranges(void) {
#define BAD(call) IS(call, RAVELIN_STATUS_CODE_INVALID_ARGUMENT)
    uint8_t seed[33] = {0}, buffer[64];
    ravelin_node *node = (ravelin_node *)(uintptr_t)0x1234;
    ravelin_config *config = configure(0, true);
    BAD(ravelin_node_new(config, seed, 31, &node));
    BAD(ravelin_node_new(config, seed, 33, &node));
    BAD(ravelin_node_new(config, seed, 0, &node));
    CHECK(node == (ravelin_node *)(uintptr_t)0x1234);
    IS(ravelin_config_ports(config, 500, 500, 4500), RAVELIN_STATUS_CODE_CONFIGURATION);
    IS(ravelin_config_retransmit(config, 0, 5), RAVELIN_STATUS_CODE_CONFIGURATION);
    IS(ravelin_config_peer_psk(config, 99, seed, 1), RAVELIN_STATUS_CODE_UNKNOWN_PEER);
    IS(ravelin_config_peer_psk(config, 1, NULL, 0), RAVELIN_STATUS_CODE_CONFIGURATION);
    IS(ravelin_config_child_start(config, 99, 1), RAVELIN_STATUS_CODE_UNKNOWN_POLICY);
    BAD(ravelin_config_child_start(config, 1, 3));
    BAD(ravelin_config_child_mode(config, 1, 3));
    BAD(ravelin_config_peer_option(config, 1, 99, true));
    uint32_t id = 77;
    BAD(ravelin_config_add_peer(config, "\xff\xff", "b", "c", &id)); /* not UTF-8 */
    CHECK(id == 77);
    OK(ravelin_node_new(config, seed, 32, &node));
    OK(ravelin_config_free(config));

    ravelin_path path;
    ravelin_ingress in;
    memset(&path, 0, sizeof path);
    memset(&in, 0x5a, sizeof in);
    BAD(ravelin_node_handle_datagram(node, now, &path, buffer, sizeof buffer, &in)); /* family 0 */
    path.local.family = path.remote.family = 4;
    BAD(ravelin_node_handle_datagram(node, now, &path, buffer, SIZE_MAX, &in));
    BAD(ravelin_node_handle_datagram(node, now, &path, buffer, (size_t)PTRDIFF_MAX + 1, &in));
    CHECK(((unsigned char *)&in)[sizeof in - 1] == 0x5a);
    OK(ravelin_node_handle_datagram(node, now, &path, NULL, 0, &in));

    ravelin_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.buf = buffer;
    packet.cap = sizeof buffer;
    packet.offset = 60;
    packet.len = 5;
    BAD(ravelin_node_handle_packets(node, now, NULL, &packet, 1)); /* past the end */
    packet.offset = SIZE_MAX;
    BAD(ravelin_node_handle_packets(node, now, NULL, &packet, 1));
    BAD(ravelin_node_handle_packets(node, now, NULL, (ravelin_packet *)(void *)((char *)&packet + 1), 1)); /* not aligned */
    BAD(ravelin_node_handle_packets(node, now, NULL, &packet, SIZE_MAX / 2));

    ravelin_report report;
    uint64_t sa = 5;
    memset(&report, 0, sizeof report);
    BAD(ravelin_node_handle_report(node, now, &report));
    IS(ravelin_node_delete(node, now, 99), RAVELIN_STATUS_CODE_UNKNOWN_SA);
    IS(ravelin_node_rekey_child(node, now, 99), RAVELIN_STATUS_CODE_UNKNOWN_CHILD);
    IS(ravelin_node_initiate(node, now, 99, 0, &sa), RAVELIN_STATUS_CODE_UNKNOWN_PEER);
    CHECK(sa == 5);
    char small[4];
    IS(ravelin_drop_reason_text(0, small, sizeof small), RAVELIN_STATUS_CODE_BUFFER_TOO_SMALL);
    BAD(ravelin_drop_reason_text(255, small, sizeof small));
    CHECK(strcmp(ravelin_status_name(12345), "unknown status") == 0);

    /* the plane of a node is the node's to change */
    ravelin_plane *plane;
    ravelin_change change;
    memset(&change, 0, sizeof change);
    change.kind = RAVELIN_CHANGE_KIND_SWITCH;
    OK(ravelin_node_plane(node, &plane));
    IS(ravelin_plane_apply(plane, 0, &change), RAVELIN_STATUS_CODE_NOT_ALLOWED);
    OK(ravelin_node_free(node));
    OK(ravelin_plane_free(plane));
}

/* Octets of no meaning never lead to an error: they are counted. */
static void noise(void) {
    ravelin_node *node = make(0, configure(0, true));
    uint8_t buffer[300];
    uint32_t x = 12345;
    ravelin_path path;
    ravelin_ingress in;
    ravelin_message *m;
    memset(&path, 0, sizeof path);
    path.local.family = path.remote.family = 4;
    OK(ravelin_message_new(&m));
    for (int i = 0; i < 300; i++) {
        for (size_t j = 0; j < sizeof buffer; j++)
            buffer[j] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        path.local.port = path.remote.port = i % 2 ? 500 : 4500;
        (void)ravelin_message_decode(m, buffer, (size_t)i);
        OK(ravelin_node_handle_datagram(node, now, &path, buffer, (size_t)i, &in));
        CHECK(in.kind != RAVELIN_INGRESS_KIND_DELIVER);
    }
    OK(ravelin_message_free(m));
    OK(ravelin_node_free(node));
}

/* Two threads on one node, against the rule: one of them is told so. */
static ravelin_node *common;
static atomic_int busy, rounds;

static void *hammer(void *arg) {
    (void)arg;
    while (atomic_load(&busy) < 2 && atomic_load(&rounds) < 2000000) {
        uint64_t sa;
        atomic_fetch_add(&rounds, 1);
        ravelin_status s = ravelin_node_initiate(common, now, 1, 0, &sa);
        if (s == RAVELIN_STATUS_CODE_OK)
            s = ravelin_node_delete(common, now, sa);
        if (s == RAVELIN_STATUS_CODE_BUSY)
            atomic_fetch_add(&busy, 1);
        uint32_t kind;
        while (ravelin_node_poll_output(common, &kind) == RAVELIN_STATUS_CODE_OK) {
        }
    }
    return NULL;
}

static void two_threads(void) {
    pthread_t other;
    common = make(0, configure(0, true));
    CHECK(pthread_create(&other, NULL, hammer, NULL) == 0);
    hammer(NULL);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(atomic_load(&busy) >= 2);
    /* it was refused, not harmed */
    uint64_t sa;
    OK(ravelin_node_initiate(common, now, 1, 0, &sa));
    OK(ravelin_node_free(common));
}

/* A plane takes any number of threads: each call does what it does alone, and all are counted. A worker takes one: the other is told
 * so, and its packets stay as they were. */
enum { CALLS = 2000, BURST = 16 };
static ravelin_plane *shared;
static ravelin_worker *worker;
static atomic_int told, tries;

static void *on_a_plane(void *arg) {
    ravelin_path path;
    ravelin_ingress in;
    ravelin_packet packets[BURST];
    static _Thread_local uint8_t bufs[BURST][128];
    memset(&path, 0, sizeof path);
    path.local.family = path.remote.family = 4;
    for (int i = 0; i < CALLS; i++) {
        uint8_t esp[64];
        memset(esp, 1 + *(int *)arg, sizeof esp);
        IS(ravelin_plane_open(shared, 0, &path, NULL, esp, sizeof esp, &in), RAVELIN_STATUS_CODE_OK);
        CHECK(in.kind == RAVELIN_INGRESS_KIND_DROPPED);
    }
    while (atomic_load(&told) < 2 && atomic_fetch_add(&tries, 1) < 2000000) {
        memset(packets, 0, sizeof packets);
        for (int i = 0; i < BURST; i++) {
            packets[i].buf = bufs[i];
            packets[i].cap = sizeof bufs[i];
            packets[i].offset = 40;
            packets[i].len = sizeof forth;
            packets[i].child = 77;
            memcpy(bufs[i] + 40, forth, sizeof forth);
        }
        ravelin_status s = ravelin_worker_seal(worker, 0, packets, BURST);
        CHECK(s == RAVELIN_STATUS_CODE_OK || s == RAVELIN_STATUS_CODE_BUSY);
        CHECK((packets[0].result.kind == RAVELIN_EGRESS_KIND_NO_SA) == (s == RAVELIN_STATUS_CODE_OK));
        CHECK(memcmp(bufs[0] + 40, forth, sizeof forth) == 0);
        if (s == RAVELIN_STATUS_CODE_BUSY)
            atomic_fetch_add(&told, 1);
    }
    return NULL;
}

static void two_threads_on_a_plane(void) {
    pthread_t other;
    uint8_t seed[32] = {3};
    int me = 0, you = 1;
    uint64_t count, all = 0;
    OK(ravelin_plane_new(NULL, seed, sizeof seed, &shared));
    OK(ravelin_worker_new(shared, &worker));
    CHECK(pthread_create(&other, NULL, on_a_plane, &you) == 0);
    on_a_plane(&me);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(atomic_load(&told) >= 2);
    for (int reason = 0; ravelin_plane_drops(shared, (uint8_t)reason, &count) == RAVELIN_STATUS_CODE_OK; reason++)
        all += count;
    CHECK(all == 2 * CALLS);
    OK(ravelin_worker_quiesce(worker)); /* the one that was told is not harmed */
    OK(ravelin_worker_free(worker));
    OK(ravelin_plane_free(shared));
}

int main(void) {
    null();
    freed_twice();
    ranges();
    noise();
    two_threads();
    two_threads_on_a_plane();
    puts("misuse: all as it should be");
    return 0;
}

/* The rest, area by area: TOML, questions and answers, a data plane of one's own, ESP with manual keys, the codec. */
#include "check.h"
#include <pthread.h>

static const char GOOD[] = "[gateway]\n"
                           "tun = \"tun7\"\n"
                           "mtu = 1300\n"
                           "nat_port = 4501\n"
                           "[[peer]]\n"
                           "name = \"office\"\n"
                           "local = \"10.9.0.1\"\n"
                           "remote = \"10.9.0.2\"\n"
                           "psk = \"0x00ff\"\n"
                           "[[peer.child]]\n"
                           "name = \"net\"\n"
                           "local_ts = \"10.10.1.0/24\"\n"
                           "remote_ts = [\"10.10.2.0/24\", \"10.0.0.1[udp/53]\"]\n"
                           "start = \"start\"\n";

static void toml(void) {
    ravelin_config *config = NULL;
    ravelin_node *node = NULL;
    ravelin_gateway gateway;
    ravelin_policy policy;
    uint32_t peer, id, line, column, kind;
    const char *key, *why;
    uint8_t seed[32] = {7};
    OK(ravelin_config_new(&config));
    IS(ravelin_config_gateway(config, &gateway), RAVELIN_STATUS_CODE_NOTHING);
    OK(ravelin_config_load_toml(config, GOOD, sizeof GOOD - 1, "/etc/here.toml"));
    OK(ravelin_config_gateway(config, &gateway));
    CHECK(strcmp(gateway.tun, "tun7") == 0 && gateway.mtu == 1300 && gateway.nat_port == 4501);
    OK(ravelin_config_find_peer(config, "office", &peer));
    OK(ravelin_config_find_policy(config, "office/net", &id));
    IS(ravelin_config_find_peer(config, "elsewhere", &peer), RAVELIN_STATUS_CODE_UNKNOWN_PEER);

    /* an error names place, key and expectation; what was loaded before stays */
    const char bad[] = "[[peer]]\nname = \"x\"\nremote = \"10.9.0.300\"\n";
    IS(ravelin_config_load_toml(config, bad, sizeof bad - 1, "bad.toml"), RAVELIN_STATUS_CODE_CONFIGURATION);
    OK(ravelin_config_error_place(config, &line, &column, &key));
    CHECK(line == 3 && strcmp(key, "peer[0].remote") == 0);
    OK(ravelin_config_error(config, &why));
    CHECK(strstr(why, "bad.toml:3:") != NULL && strstr(why, "10.9.0.300") != NULL);
    IS(ravelin_config_load_toml(config, "\xff\xfe", 2, NULL), RAVELIN_STATUS_CODE_CONFIGURATION);
    OK(ravelin_config_find_peer(config, "office", &peer));

    OK(ravelin_node_new(config, seed, sizeof seed, &node));
    OK(ravelin_config_free(config));
    OK(ravelin_node_find_peer(node, "office", &peer));
    OK(ravelin_node_policy(node, 0, &policy));
    CHECK(policy.action == 2 && policy.start == 2 && policy.peer == peer && strcmp(policy.name, "office/net") == 0);
    CHECK(policy.remote_ts_len == 2 && policy.remote_ts[1].protocol == 17 && policy.remote_ts[1].first_port == 53);
    IS(ravelin_node_policy(node, 1, &policy), RAVELIN_STATUS_CODE_NOTHING);
    OK(ravelin_node_start(node, now)); /* the first request leaves */
    do
        OK(ravelin_node_poll_output(node, &kind));
    while (kind != RAVELIN_OUTPUT_TRANSMIT);
    OK(ravelin_node_free(node));
}

/* A host whose packets another plane carries: each step goes to a plane, what it sees goes back. */
typedef struct {
    ravelin_node *node;
    ravelin_plane *plane;
    int asked, installed, removed, refused;
    uint64_t child;
    bool answers;
} host;

static void step(host *h, const ravelin_change *c) {
    if (c->kind == RAVELIN_CHANGE_KIND_INSTALL_INBOUND || c->kind == RAVELIN_CHANGE_KIND_INSTALL_OUTBOUND) {
        CHECK(c->sa != NULL && c->sa->spi == c->spi && c->sa->encr == 20 && c->sa->integ == 0);
        CHECK(c->sa->encr_key.len == 16 + 4 || c->sa->encr_key.len == 32 + 4);
        CHECK(c->sa->local_ts_len == 1 && c->sa->remote_ts_len == 1 && c->sa->protocol == 50);
        h->child = c->child;
        h->installed++;
    }
    if (c->kind == RAVELIN_CHANGE_KIND_REMOVE)
        h->removed++;
    OK(ravelin_plane_apply(h->plane, now.mono_us, c));
}

static int drain(host *from, host *to) {
    uint32_t kind;
    int n = 0;
    while (ravelin_node_poll_output(from->node, &kind) == 0) {
        n++;
        if (kind == RAVELIN_OUTPUT_CHANGE) {
            ravelin_change change;
            OK(ravelin_node_output_change(from->node, &change));
            step(from, &change);
        } else if (kind == RAVELIN_OUTPUT_ASK) {
            ravelin_ask ask;
            OK(ravelin_node_output_ask(from->node, &ask));
            CHECK(ask.kind == RAVELIN_ASK_KIND_SHARED_SECRET && ask.remote_id != NULL && ask.ticket.sa != 0);
            from->asked++;
            ravelin_ticket wrong = ask.ticket;
            wrong.number += 1000;
            IS(ravelin_node_answer_secret(from->node, now, wrong, (const uint8_t *)"x", 1),
               RAVELIN_STATUS_CODE_UNKNOWN_TICKET);
            IS(ravelin_node_answer_signature(from->node, now, ask.ticket, (const uint8_t *)"x", 1),
               RAVELIN_STATUS_CODE_WRONG_ANSWER);
            if (from->answers)
                OK(ravelin_node_answer_secret(from->node, now, ask.ticket, (const uint8_t *)"asked for", 9));
            else
                OK(ravelin_node_answer_refused(from->node, now, ask.ticket, "nobody knows"));
        } else if (kind == RAVELIN_OUTPUT_TRANSMIT) {
            hand_over(from->node, to->node, kind, NULL, NULL);
        } else if (kind == RAVELIN_OUTPUT_CLOSED) {
            ravelin_event e;
            OK(ravelin_node_output_event(from->node, &e));
            from->refused += strstr(e.reason, "nobody knows") != NULL;
        }
    }
    return n;
}

static host external(int me, bool answers) {
    host h = {NULL, NULL, 0, 0, 0, 0, 0, answers};
    uint8_t seed[32] = {9};
    ravelin_config *config = configure(me, false);
    OK(ravelin_config_external_plane(config, true));
    OK(ravelin_config_asks(config, true, 5000));
    h.node = make(me, config);
    OK(ravelin_plane_new(NULL, seed, sizeof seed, &h.plane));
    return h;
}

static void settle(host *a, host *b) {
    for (int i = 0; i < 30; i++)
        if (drain(a, b) + drain(b, a) == 0)
            return;
    CHECK(!"it comes to rest");
}

static void plane_of_ones_own(void) {
    host moon = external(0, true), sun = external(1, true);
    ravelin_report acquire;
    memset(&acquire, 0, sizeof acquire);
    acquire.kind = RAVELIN_REPORT_KIND_ACQUIRE;
    acquire.policy = 1;
    acquire.packet.local.family = acquire.packet.remote.family = 4;
    memcpy(acquire.packet.local.addr, forth + 12, 4);
    memcpy(acquire.packet.remote.addr, forth + 16, 4);
    acquire.packet.protocol = 17;
    OK(ravelin_node_handle_report(moon.node, now, &acquire));
    settle(&moon, &sun);
    CHECK(moon.asked >= 1 && sun.asked >= 1 && moon.installed == 2 && sun.installed == 2);

    uint8_t sealed[256];
    ravelin_egress out;
    ravelin_ingress in;
    ravelin_report seen;
    ravelin_child_stats stats;
    OK(ravelin_plane_seal(moon.plane, now.mono_us, 0, 1, forth, sizeof forth, sealed, sizeof sealed, &out));
    CHECK(out.kind == RAVELIN_EGRESS_KIND_SENT && out.child == moon.child);
    ravelin_path back = turned(out.path);
    OK(ravelin_plane_open(sun.plane, now.mono_us, &back, NULL, sealed, out.len, &in));
    CHECK(in.kind == RAVELIN_INGRESS_KIND_DELIVER && memcmp(sealed + in.offset, forth, sizeof forth) == 0);
    OK(ravelin_plane_traffic(sun.plane, sun.child, &seen));
    CHECK(seen.kind == RAVELIN_REPORT_KIND_TRAFFIC && seen.last_us == now.mono_us);
    OK(ravelin_node_handle_report(sun.node, now, &seen));
    OK(ravelin_plane_stats(sun.plane, sun.child, &stats));
    CHECK(stats.inbound.packets == 1);
    /* a packet for nobody is reported, and the report may be handed on as it is */
    memset(sealed, 1, 64);
    OK(ravelin_plane_open(sun.plane, now.mono_us, &back, NULL, sealed, 64, &in));
    CHECK(in.kind == RAVELIN_INGRESS_KIND_DROPPED);
    OK(ravelin_plane_poll_report(sun.plane, &seen));
    CHECK(seen.kind == RAVELIN_REPORT_KIND_UNKNOWN_SPI && seen.spi == 0x01010101);
    OK(ravelin_node_handle_report(sun.node, now, &seen));
    /* a limit was passed: IKE rekeys, the old pair goes */
    memset(&seen, 0, sizeof seen);
    seen.kind = RAVELIN_REPORT_KIND_SOFT_EXPIRED;
    seen.child = moon.child;
    OK(ravelin_node_handle_report(moon.node, now, &seen));
    settle(&moon, &sun);
    CHECK(moon.installed == 4 && moon.removed == 2 && sun.removed == 2);
    OK(ravelin_node_shutdown(moon.node, now));
    settle(&moon, &sun);
    CHECK(moon.removed == 4 && sun.removed == 4);
    IS(ravelin_plane_stats(sun.plane, sun.child, &stats), RAVELIN_STATUS_CODE_UNKNOWN_CHILD);
    OK(ravelin_node_free(moon.node));
    OK(ravelin_node_free(sun.node));
    OK(ravelin_plane_free(moon.plane));
    OK(ravelin_plane_free(sun.plane));

    /* a refused question ends the attempt, with the words that were given */
    moon = external(0, false);
    sun = external(1, false);
    OK(ravelin_node_handle_report(moon.node, now, &acquire));
    settle(&moon, &sun);
    CHECK(moon.refused + sun.refused >= 1 && moon.installed == 0);
    OK(ravelin_node_free(moon.node));
    OK(ravelin_node_free(sun.node));
    OK(ravelin_plane_free(moon.plane));
    OK(ravelin_plane_free(sun.plane));
}

/* One thread, one worker, packets of its own. */
enum { LANE = 300, ROOM = 256 };
typedef struct {
    ravelin_worker *worker;
    ravelin_packet out[LANE];
    uint8_t bufs[LANE][ROOM];
} lane;
static lane lanes[2];

static void *seal_a_lane(void *arg) {
    lane *l = (lane *)arg;
    for (int i = 0; i < LANE; i += 10)
        OK(ravelin_worker_seal(l->worker, 1, l->out + i, 10));
    return NULL;
}

/* Two threads send on one SA: no sequence number twice, none left out. */
static void two_lanes(ravelin_plane *plane, size_t before, ravelin_path path) {
    pthread_t thread[2];
    ravelin_ingress in;
    ravelin_child_stats stats;
    for (int t = 0; t < 2; t++) {
        OK(ravelin_worker_new(plane, &lanes[t].worker));
        for (int i = 0; i < LANE; i++) {
            ravelin_packet *p = &lanes[t].out[i];
            memcpy(lanes[t].bufs[i] + before, forth, sizeof forth);
            p->buf = lanes[t].bufs[i];
            p->cap = ROOM;
            p->offset = before;
            p->len = sizeof forth;
            p->child = 1;
        }
    }
    for (int t = 0; t < 2; t++)
        CHECK(pthread_create(&thread[t], NULL, seal_a_lane, &lanes[t]) == 0);
    for (int t = 0; t < 2; t++) {
        CHECK(pthread_join(thread[t], NULL) == 0);
        OK(ravelin_worker_free(lanes[t].worker)); /* counters are up to date */
    }
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < LANE; i++) {
            const ravelin_egress *sent = &lanes[t].out[i].result;
            CHECK(sent->kind == RAVELIN_EGRESS_KIND_SENT);
            OK(ravelin_plane_open(plane, 1, &path, NULL, lanes[t].bufs[i] + sent->offset, sent->len, &in));
            CHECK(in.kind == RAVELIN_INGRESS_KIND_DELIVER && in.child == 2);
        }
    OK(ravelin_plane_stats(plane, 1, &stats));
    CHECK(stats.outbound.packets == 2 * LANE && stats.outbound.sequence == 2 * LANE);
    OK(ravelin_plane_stats(plane, 2, &stats));
    CHECK(stats.inbound.packets == 2 * LANE);
}

/* ESP with manual keys, without IKE: one plane sends to itself. */
static void manual_keys(void) {
    static const uint8_t key[20] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    enum { N = 33, CAP = 256 };
    static uint8_t bufs[N][CAP];
    uint8_t seed[32] = {1};
    ravelin_plane *plane = NULL;
    ravelin_worker *worker = NULL;
    ravelin_selector left, right;
    ravelin_sa sa;
    ravelin_change change;
    memset(&left, 0, sizeof left);
    left.family = 4;
    left.last_port = 65535;
    right = left;
    memcpy(left.first, "\x0a\x01\x00\x00", 4);
    memcpy(left.last, "\x0a\x01\xff\xff", 4);
    memcpy(right.first, "\x0a\x02\x00\x00", 4);
    memcpy(right.last, "\x0a\x02\xff\xff", 4);
    memset(&sa, 0, sizeof sa);
    sa.child = 1;
    sa.policy = 1;
    sa.spi = 0x1000;
    sa.direction = 1;
    sa.protocol = 50;
    sa.encr = 20; /* AES-GCM with a 16-octet ICV */
    sa.key_bits = 128;
    sa.encr_key.data = key;
    sa.encr_key.len = sizeof key;
    sa.path.local.family = sa.path.remote.family = 4;
    memcpy(sa.path.local.addr, "\xc0\x00\x02\x01", 4);
    memcpy(sa.path.remote.addr, "\xc0\x00\x02\x02", 4);
    sa.local_ts = &left;
    sa.remote_ts = &right;
    sa.local_ts_len = sa.remote_ts_len = 1;
    memset(&change, 0, sizeof change);
    change.sa = &sa;

    OK(ravelin_plane_new(NULL, seed, sizeof seed, &plane));
    change.kind = RAVELIN_CHANGE_KIND_INSTALL_OUTBOUND;
    sa.encr_key.len = 19;
    IS(ravelin_plane_apply(plane, 0, &change), RAVELIN_STATUS_CODE_KEY_LENGTH);
    sa.encr_key.len = 20;
    sa.encr = 999;
    IS(ravelin_plane_apply(plane, 0, &change), RAVELIN_STATUS_CODE_UNSUPPORTED_TRANSFORM);
    sa.encr = 20;
    OK(ravelin_plane_apply(plane, 0, &change));
    /* the other end of it: inbound, sides changed */
    sa.child = 2;
    sa.direction = 0;
    sa.local_ts = &right;
    sa.remote_ts = &left;
    sa.path = turned(sa.path);
    sa.replay_window = 1024;
    IS(ravelin_plane_apply(plane, 0, &change), RAVELIN_STATUS_CODE_INVALID_ARGUMENT); /* kind and direction differ */
    change.kind = RAVELIN_CHANGE_KIND_INSTALL_INBOUND;
    OK(ravelin_plane_apply(plane, 0, &change));

    size_t before, behind;
    ravelin_packet out[N];
    ravelin_datagram in[N];
    OK(ravelin_plane_room(plane, &before, &behind));
    two_lanes(plane, before, sa.path);
    OK(ravelin_worker_new(plane, &worker));
    OK(ravelin_plane_free(plane)); /* the worker keeps it */
    memset(out, 0, sizeof out);
    memset(in, 0, sizeof in);
    for (int i = 0; i < N; i++) {
        memcpy(bufs[i] + before, forth, sizeof forth);
        out[i].buf = bufs[i];
        out[i].cap = CAP;
        out[i].offset = before;
        out[i].len = sizeof forth;
        out[i].child = 1;
    }
    out[N - 1].child = 77;
    OK(ravelin_worker_seal(worker, 1, out, N));
    CHECK(out[N - 1].result.kind == RAVELIN_EGRESS_KIND_NO_SA);
    for (int i = 0; i < N - 1; i++) {
        CHECK(out[i].result.kind == RAVELIN_EGRESS_KIND_SENT);
        in[i].path = sa.path;
        in[i].data = bufs[i] + out[i].result.offset;
        in[i].len = out[i].result.len;
    }
    OK(ravelin_worker_open(worker, 2, in, N - 1));
    for (int i = 0; i < N - 1; i++) {
        CHECK(in[i].result.kind == RAVELIN_INGRESS_KIND_DELIVER && in[i].result.child == 2);
        CHECK(memcmp(in[i].data + in[i].result.offset, forth, sizeof forth) == 0);
    }
    OK(ravelin_worker_quiesce(worker));
    OK(ravelin_worker_free(worker));
}

static void codec(void) {
    ravelin_message *m = NULL;
    ravelin_header header = {0x1122334455667788, 0, 0x20, 34, 0x08, 0};
    ravelin_payload payload;
    const uint8_t *data;
    const char *text;
    size_t len;
    uint8_t nonce[32], first[512];
    memset(nonce, 0xab, sizeof nonce);
    OK(ravelin_message_new(&m));
    OK(ravelin_message_set_header(m, &header));
    memset(&payload, 0, sizeof payload);
    payload.kind = 40; /* Nonce */
    payload.body.data = nonce;
    payload.body.len = sizeof nonce;
    OK(ravelin_message_add(m, &payload));
    payload.kind = 41; /* Notify: NAT_DETECTION_SOURCE_IP with too little data is not well-formed as a proposal is */
    payload.body.data = (const uint8_t *)"\x00\x00\x40\x2e"; /* IKEV2_FRAGMENTATION_SUPPORTED */
    payload.body.len = 4;
    OK(ravelin_message_add(m, &payload));
    payload.body.len = 3;
    IS(ravelin_message_add(m, &payload), RAVELIN_STATUS_CODE_MALFORMED);
    OK(ravelin_message_error(m, &text));
    CHECK(strlen(text) > 10);
    OK(ravelin_message_text(m, &text));
    CHECK(strstr(text, "IKE_SA_INIT request 0") && strstr(text, "\n  Nonce 32 octets"));
    CHECK(strstr(text, "N IKEV2_FRAGMENTATION_SUPPORTED"));
    OK(ravelin_message_encode(m, &data, &len));
    CHECK(len == 28 + 36 + 8 && len < sizeof first);
    memcpy(first, data, len);
    /* reserved bits of a foreign peer survive */
    first[28 + 1] = 0x05;
    OK(ravelin_message_decode(m, first, len));
    OK(ravelin_message_payload(m, 0, &payload));
    CHECK(payload.kind == 40 && payload.flags == 5 && payload.body.len == 32 && payload.body.data[0] == 0xab);
    IS(ravelin_message_payload(m, 2, &payload), RAVELIN_STATUS_CODE_NOTHING);
    OK(ravelin_message_encode(m, &data, &len));
    CHECK(memcmp(data, first, len) == 0);
    OK(ravelin_message_remove(m, 1));
    IS(ravelin_message_remove(m, 1), RAVELIN_STATUS_CODE_NOTHING);
    OK(ravelin_message_encode(m, &data, &len));
    CHECK(len == 28 + 36);
    OK(ravelin_message_header(m, &header));
    CHECK(header.spi_i == 0x1122334455667788 && header.exchange == 34);
    IS(ravelin_message_decode(m, first, 27), RAVELIN_STATUS_CODE_MALFORMED);
    /* what stands in an SK payload: no header */
    OK(ravelin_message_decode_inner(m, 41, (const uint8_t *)"\x00\x00\x00\x08\x00\x00\x40\x00", 8));
    OK(ravelin_message_text(m, &text));
    CHECK(strstr(text, "N INITIAL_CONTACT") != NULL);
    IS(ravelin_message_header(m, &header), RAVELIN_STATUS_CODE_NOTHING);
    OK(ravelin_message_free(m));
}

int main(void) {
    toml();
    plane_of_ones_own();
    manual_keys();
    codec();
    puts("areas: all as it should be");
    return 0;
}

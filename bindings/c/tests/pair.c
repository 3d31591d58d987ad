/* Two nodes in one C program: a tunnel comes up, packets cross singly and in bursts, everything can be shown. */
#include "check.h"

static int established, children_up;

/* Carries everything from one node to the other; delivered packets go to got. Returns what was carried. */
static int carry(ravelin_node *from, ravelin_node *to, uint8_t *got, size_t *got_len) {
    uint32_t kind;
    int carried = 0;
    while (ravelin_node_poll_output(from, &kind) == 0) {
        if (kind >= RAVELIN_OUTPUT_ESTABLISHED) {
            ravelin_event e;
            OK(ravelin_node_output_event(from, &e));
            CHECK(e.kind == kind);
            if (kind == RAVELIN_OUTPUT_ESTABLISHED) {
                CHECK(e.sa != 0 && e.spi_i != 0 && e.spi_r != 0 && strstr(e.proposal, "128") != NULL);
                CHECK(strcmp(e.local_id, e.role == 0 ? "moon" : "sun") == 0);
                established++;
            } else if (kind == RAVELIN_OUTPUT_CHILD_ESTABLISHED) {
                CHECK(e.child != 0 && e.policy != 0 && e.spi_in != 0 && e.local_ts_len == 1 && e.remote_ts_len == 1);
                CHECK(e.local_ts[0].family == 4 && e.local_ts[0].first[0] == 10 && e.local_ts[0].last_port == 65535);
                children_up++;
            } else if (kind == RAVELIN_OUTPUT_CLOSED) {
                CHECK(e.reason != NULL && strlen(e.reason) > 0);
            } else if (kind == RAVELIN_OUTPUT_IKE_KEYS || kind == RAVELIN_OUTPUT_CHILD_KEYS) {
                const char *table, *line;
                OK(ravelin_node_output_keylog(from, 0, &table, &line));
                CHECK(strcmp(table, kind == RAVELIN_OUTPUT_IKE_KEYS ? "ikev2_decryption_table" : "esp_sa") == 0);
                CHECK(line[strlen(line) - 1] == '\n');
                IS(ravelin_node_output_keylog(from, 2, &table, &line), RAVELIN_STATUS_CODE_NOTHING);
            }
        }
        if (kind != RAVELIN_OUTPUT_TRANSMIT && kind != RAVELIN_OUTPUT_ESP)
            continue;
        hand_over(from, to, kind, got, got_len);
        carried++;
    }
    return carried;
}

static void settle(ravelin_node *moon, ravelin_node *sun, uint8_t *got, size_t *got_len) {
    for (int i = 0; i < 20; i++) {
        now.mono_us += 1000;
        if (carry(moon, sun, got, got_len) + carry(sun, moon, got, got_len) == 0)
            return;
    }
    CHECK(!"it comes to rest");
}

/* More packets than the library looks at at once, in place. */
static void burst(ravelin_node *moon, ravelin_node *sun) {
    enum { N = 40, CAP = 256 };
    static uint8_t bufs[N][CAP];
    ravelin_packet out[N];
    ravelin_datagram in[N];
    size_t before, behind;
    OK(ravelin_node_room(moon, &before, &behind));
    CHECK(before + sizeof forth + behind <= CAP);
    memset(out, 0, sizeof out);
    memset(in, 0, sizeof in);
    for (int i = 0; i < N; i++) {
        out[i].buf = bufs[i];
        out[i].cap = CAP;
        out[i].offset = before;
        out[i].len = sizeof forth;
        memcpy(bufs[i] + before, forth, sizeof forth);
        bufs[i][before + 21] = (uint8_t)i; /* another source port each */
    }
    OK(ravelin_node_handle_packets(moon, now, NULL, out, N));
    for (int i = 0; i < N; i++) {
        CHECK(out[i].result.kind == RAVELIN_EGRESS_KIND_SENT && out[i].result.len > sizeof forth);
        in[i].path = turned(out[i].result.path);
        in[i].path.local.port = in[i].path.remote.port = 4500;
        in[i].data = bufs[i] + out[i].result.offset;
        in[i].len = out[i].result.len;
    }
    OK(ravelin_node_handle_datagrams(sun, now, in, N));
    for (int i = 0; i < N; i++) {
        CHECK(in[i].result.kind == RAVELIN_INGRESS_KIND_DELIVER && in[i].result.len == sizeof forth);
        CHECK(in[i].data[in[i].result.offset + 21] == (uint8_t)i);
    }
    /* the same again: a replay, with words */
    char words[128];
    OK(ravelin_node_handle_datagrams(sun, now, in, 1));
    CHECK(in[0].result.kind == RAVELIN_INGRESS_KIND_DROPPED);
    OK(ravelin_drop_reason_text(in[0].result.drop_reason, words, sizeof words));
    CHECK(strlen(words) > 0);
}

static void show(ravelin_node *node) {
    ravelin_snapshot *snapshot = NULL;
    ravelin_sa_info sa;
    ravelin_child_info child;
    ravelin_child_stats stats;
    ravelin_counters counters;
    OK(ravelin_node_snapshot(node, now, &snapshot));
    OK(ravelin_snapshot_sa(snapshot, 0, &sa));
    CHECK(sa.state == RAVELIN_STATE_ESTABLISHED && strcmp(sa.remote_id, "sun") == 0 && sa.children == 1);
    OK(ravelin_snapshot_child(snapshot, 0, 0, &child));
    CHECK(child.local_ts_len == 1 && strlen(child.proposal) > 0);
    IS(ravelin_snapshot_child(snapshot, 0, 1, &child), RAVELIN_STATUS_CODE_NOTHING);
    IS(ravelin_snapshot_sa(snapshot, 1, &sa), RAVELIN_STATUS_CODE_NOTHING);
    OK(ravelin_node_stats(node, child.child, &stats));
    CHECK(stats.outbound.packets == 42 && stats.active && stats.outbound.sequence == 42);
    OK(ravelin_node_counters(node, &counters));
    CHECK(counters.handled >= 2 && counters.malformed == 0);
    OK(ravelin_node_probe(node, now, sa.sa));
    OK(ravelin_snapshot_free(snapshot));
}

int main(void) {
    CHECK(ravelin_abi_version() >> 16 == RAVELIN_ABI_VERSION >> 16);
    CHECK(strlen(ravelin_version()) > 0 && strcmp(ravelin_status_name(1), "null pointer") == 0);

    ravelin_config *config = configure(0, true);
    OK(ravelin_config_export_keys(config, true));
    /* a bad value is refused with words, and nothing is lost */
    uint32_t policy;
    const char *why;
    IS(ravelin_config_add_child(config, 1, "bad", "10.0.0.0/99", "10.0.0.0/8", NULL, &policy),
       RAVELIN_STATUS_CODE_CONFIGURATION);
    OK(ravelin_config_error(config, &why));
    CHECK(strstr(why, "10.0.0.0/99") != NULL);
    ravelin_node *moon = make(0, config), *sun = make(1, configure(1, true));

    uint8_t sealed[256], got[2048];
    size_t got_len = 0;
    ravelin_egress out;
    OK(ravelin_node_handle_packet(moon, now, NULL, forth, sizeof forth, sealed, sizeof sealed, &out));
    CHECK(out.kind == RAVELIN_EGRESS_KIND_ACQUIRING);
    settle(moon, sun, got, &got_len);
    CHECK(established == 2 && children_up == 2);
    CHECK(got_len == sizeof forth && memcmp(got, forth, sizeof forth) == 0);

    /* a second packet goes straight through; too small a buffer loses nothing but the packet */
    IS(ravelin_node_handle_packet(moon, now, NULL, forth, sizeof forth, sealed, 10, &out),
       RAVELIN_STATUS_CODE_BUFFER_TOO_SMALL);
    OK(ravelin_node_handle_packet(moon, now, NULL, forth, sizeof forth, sealed, sizeof sealed, &out));
    CHECK(out.kind == RAVELIN_EGRESS_KIND_SENT && out.len > sizeof forth && out.protocol == 50);
    burst(moon, sun);
    show(moon);
    settle(moon, sun, got, &got_len);

    uint64_t at = 0;
    bool idle = true;
    OK(ravelin_node_deadline(moon, &at));
    CHECK(at > now.mono_us);
    now.mono_us = at;
    OK(ravelin_node_handle_timeout(moon, now));
    settle(moon, sun, got, &got_len);
    OK(ravelin_node_is_idle(moon, &idle));
    CHECK(!idle);
    OK(ravelin_node_shutdown(moon, now));
    settle(moon, sun, got, &got_len);
    OK(ravelin_node_is_idle(moon, &idle));
    CHECK(idle);
    OK(ravelin_node_is_idle(sun, &idle));
    CHECK(idle);
    OK(ravelin_node_free(moon));
    OK(ravelin_node_free(sun));
    puts("pair: all as it should be");
    return 0;
}

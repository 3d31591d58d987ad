/* Two nodes in one C program: a tunnel comes up, a packet crosses, misuse is answered by a status. */
#include "ravelin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);         \
            exit(1);                                                           \
        }                                                                      \
    } while (0)
#define OK(call) CHECK((call) == 0)

static ravelin_now now = {1000000, 0};

static ravelin_node *make(int me) {
    const char *name[] = {"moon", "sun"};
    const char *addr[] = {"192.0.2.1", "192.0.2.2"};
    const char *net[] = {"10.1.0.0/16", "10.2.0.0/16"};
    uint8_t seed[32];
    uint32_t peer = 0, policy = 0;
    ravelin_config *config = NULL;
    ravelin_node *node = NULL;
    memset(seed, me + 1, sizeof seed);
    OK(ravelin_config_new(&config));
    OK(ravelin_config_add_peer(config, "peer", name[me], name[1 - me], addr[me], addr[1 - me], 500,
                               (const uint8_t *)"a secret", 8, "aes128gcm16-prfsha256-x25519", &peer));
    OK(ravelin_config_add_child(config, peer, "net", net[me], net[1 - me], NULL, &policy));
    /* a bad value is refused with words, and nothing is lost */
    CHECK(ravelin_config_add_child(config, peer, "bad", "10.0.0.0/99", net[0], NULL, &policy) == 3);
    CHECK(strlen(ravelin_config_error(config)) > 0);
    OK(ravelin_node_new(config, seed, sizeof seed, &node));
    return node;
}

/* Carries everything from one node to the other; delivered packets go to got. Returns what was carried. */
static int carry(ravelin_node *from, ravelin_node *to, uint8_t *got, size_t *got_len, int *up) {
    uint32_t kind;
    int carried = 0;
    while (ravelin_node_poll_output(from, &kind) == 0) {
        if (kind == RAVELIN_OUTPUT_CHILD_ESTABLISHED)
            (*up)++;
        if (kind != RAVELIN_OUTPUT_TRANSMIT && kind != RAVELIN_OUTPUT_ESP)
            continue;
        ravelin_path path, back;
        const uint8_t *data;
        size_t len;
        uint8_t how;
        ravelin_ingress in;
        OK(ravelin_node_output_datagram(from, &path, &data, &len, &how));
        uint8_t *copy = (uint8_t *)malloc(len);
        memcpy(copy, data, len);
        back.local = path.remote;
        back.remote = path.local;
        if (kind == RAVELIN_OUTPUT_ESP && how == 0) /* bare ESP: by the NAT port here, for want of a raw socket */
            back.local.port = back.remote.port = 4500;
        OK(ravelin_node_handle_datagram(to, now, &back, copy, len, &in));
        if (in.kind == RAVELIN_INGRESS_KIND_DELIVER) {
            memcpy(got, copy + in.offset, in.len);
            *got_len = in.len;
        }
        free(copy);
        carried++;
    }
    return carried;
}

int main(void) {
    CHECK(ravelin_abi_version() == RAVELIN_ABI_VERSION);
    CHECK(strcmp(ravelin_status_name(1), "null pointer") == 0);
    CHECK(ravelin_config_new(NULL) == 1);
    CHECK(ravelin_node_handle_timeout(NULL, now) == 1);
    ravelin_config_free(NULL);
    ravelin_node_free(NULL);

    ravelin_node *moon = make(0), *sun = make(1);
    uint8_t ip[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 0, 9, 0, 9, 0, 8, 0, 0};
    uint8_t sealed[256], got[2048];
    size_t got_len = 0;
    int up = 0;
    ravelin_egress out;
    OK(ravelin_node_handle_packet(moon, now, ip, sizeof ip, sealed, sizeof sealed, &out));
    CHECK(out.kind == RAVELIN_EGRESS_KIND_ACQUIRING);
    for (int i = 0; i < 20; i++) {
        now.mono_us += 1000;
        if (carry(moon, sun, got, &got_len, &up) + carry(sun, moon, got, &got_len, &up) == 0)
            break;
    }
    CHECK(up == 2);
    CHECK(got_len == sizeof ip && memcmp(got, ip, sizeof ip) == 0);

    /* a second packet goes straight through; too small a buffer loses nothing but the packet */
    CHECK(ravelin_node_handle_packet(moon, now, ip, sizeof ip, sealed, 10, &out) == 4);
    OK(ravelin_node_handle_packet(moon, now, ip, sizeof ip, sealed, sizeof sealed, &out));
    CHECK(out.kind == RAVELIN_EGRESS_KIND_SENT && out.len > sizeof ip);
    uint64_t at = 0;
    CHECK(ravelin_node_deadline(moon, NULL) == 1);
    OK(ravelin_node_deadline(moon, &at));
    OK(ravelin_node_shutdown(moon, now));
    for (int i = 0; i < 20; i++)
        if (carry(moon, sun, got, &got_len, &up) + carry(sun, moon, got, &got_len, &up) == 0)
            break;
    CHECK(ravelin_node_is_idle(moon) && ravelin_node_is_idle(sun));
    ravelin_node_free(moon);
    ravelin_node_free(sun);
    puts("tunnel up, packet across, both down");
    return 0;
}

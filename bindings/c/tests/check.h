/* What the C tests share. */
#ifndef CHECK_H
#define CHECK_H
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
#define OK(call) IS(call, RAVELIN_STATUS_CODE_OK)
#define IS(call, wanted)                                                       \
    do {                                                                       \
        ravelin_status is_ = (call);                                           \
        if (is_ != (ravelin_status)(wanted)) {                                 \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,      \
                    ravelin_status_name(is_));                                 \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static ravelin_now now = {1000000, 1800000000};

/* UDP from 10.1.0.1 to 10.2.0.1, or back */
static uint8_t forth[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 0, 9, 0, 9, 0, 8, 0, 0};

static inline ravelin_path turned(ravelin_path path) {
    ravelin_path back;
    back.local = path.remote;
    back.remote = path.local;
    return back;
}

/* Hands what one node has just put out (a datagram, or an ESP packet) to the other one, as a copy that ends with the call.
 * A packet that is delivered goes to got, if there is one. */
static inline void hand_over(ravelin_node *from, ravelin_node *to, uint32_t kind, uint8_t *got, size_t *got_len) {
    ravelin_path path;
    const uint8_t *data;
    size_t len;
    uint8_t how;
    ravelin_ingress in;
    OK(ravelin_node_output_datagram(from, &path, &data, &len, &how));
    uint8_t *copy = (uint8_t *)malloc(len);
    CHECK(copy != NULL);
    memcpy(copy, data, len);
    path = turned(path);
    if (kind == RAVELIN_OUTPUT_ESP && how == 0)
        OK(ravelin_node_handle_esp(to, now, &path, NULL, copy, len, &in));
    else
        OK(ravelin_node_handle_datagram(to, now, &path, copy, len, &in));
    if (got != NULL && in.kind == RAVELIN_INGRESS_KIND_DELIVER) {
        memcpy(got, copy + in.offset, in.len);
        *got_len = in.len;
    }
    free(copy);
}

/* A configuration by builder calls: host 0 is moon, host 1 is sun. */
static inline ravelin_config *configure(int me, bool psk) {
    const char *name[] = {"moon", "sun"};
    const char *addr[] = {"192.0.2.1", "192.0.2.2"};
    const char *net[] = {"10.1.0.0/16", "10.2.0.0/16"};
    uint32_t peer = 0, policy = 0;
    ravelin_config *config = NULL;
    OK(ravelin_config_new(&config));
    OK(ravelin_config_add_peer(config, "peer", name[me], name[1 - me], &peer));
    OK(ravelin_config_peer_addresses(config, peer, addr[me], addr[1 - me], 500));
    OK(ravelin_config_peer_proposals(config, peer, "aes128gcm16-prfsha256-x25519"));
    if (psk)
        OK(ravelin_config_peer_psk(config, peer, (const uint8_t *)"a secret", 8));
    OK(ravelin_config_add_child(config, peer, "net", net[me], net[1 - me], NULL, &policy));
    return config;
}

static inline ravelin_node *make(int me, ravelin_config *config) {
    uint8_t seed[32];
    ravelin_node *node = NULL;
    memset(seed, me + 1, sizeof seed);
    OK(ravelin_node_new(config, seed, sizeof seed, &node));
    OK(ravelin_config_free(config)); /* a node copies what it needs */
    return node;
}
#endif

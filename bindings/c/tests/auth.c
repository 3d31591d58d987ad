/* Who proves what, from C: certificates, raw keys, PEM in a TOML text, EAP, post-quantum keys, times; and every kind of question asked,
 * answered, refused, and answered with the wrong kind or the wrong ticket. Signing in another place is `openssl`'s. */
#include "check.h"
#include <unistd.h>

/* A CA, the certificate of "sun" (2026 to 2066) and its key: made for these tests, good for nothing else. */
static const char CA[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBFDCBx6ADAgECAgEBMAUGAytlcDARMQ8wDQYDVQQDDAZMYWIgQ0EwIBcNMjYx\n"
    "MTIxMTc1ODQyWhgPMjA2NjExMTExNzU4NDJaMBExDzANBgNVBAMMBkxhYiBDQTAq\n"
    "MAUGAytlcAMhACNdm5wsvHZGO1/Wjtcw8p/SAOmHw2PqkERaDSluxygjo0IwQDAP\n"
    "BgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQUaQXks2Bc\n"
    "cv/+EhHQSTzcEGNDXJcwBQYDK2VwA0EA+RbgTq0IC5N4aN8tn/M5cagAPgqHif71\n"
    "qnl0n0HV/S023wuf33qAjZf9aJ4d++7ZIL8ujzb0thgSZ/HDZg3cCA==\n"
    "-----END CERTIFICATE-----\n";
static const char SUN[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBPDCB76ADAgECAgECMAUGAytlcDARMQ8wDQYDVQQDDAZMYWIgQ0EwIBcNMjYx\n"
    "MTIxMTc1ODQzWhgPMjA2NjExMTExNzU4NDNaMA4xDDAKBgNVBAMMA3N1bjAqMAUG\n"
    "AytlcAMhAOgQkLPxKJv0mSUdS8NxAzhUL2tbWcDmHTCSqU10tZEko20wazAMBgNV\n"
    "HRMBAf8EAjAAMA4GA1UdEQQHMAWCA3N1bjALBgNVHQ8EBAMCB4AwHQYDVR0OBBYE\n"
    "FB2pixQPCrFStXS+q7gsLsBLBYZ7MB8GA1UdIwQYMBaAFGkF5LNgXHL//hIR0Ek8\n"
    "3BBjQ1yXMAUGAytlcANBAP3ZfiyiD8JyyGzpcFoJZ+iWtBD2ov+GY0jCR7ATSvIB\n"
    "kYrAPj3BZWdSeQIRMIsZYgytkcujXULtFarJqARCqgM=\n"
    "-----END CERTIFICATE-----\n";
static const char KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIE4O1AMxVuKw42JUhG2UKl0OLL/bjmpRxobQsIm/rPWd\n"
    "-----END PRIVATE KEY-----\n";
static const uint8_t SPKI[44] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0xe8, 0x10, 0x90,
                                 0xb3, 0xf1, 0x28, 0x9b, 0xf4, 0x99, 0x25, 0x1d, 0x4b, 0xc3, 0x71, 0x03, 0x38, 0x54, 0x2f,
                                 0x6b, 0x5b, 0x59, 0xc0, 0xe6, 0x1d, 0x30, 0x92, 0xa9, 0x4d, 0x74, 0xb5, 0x91, 0x24};
static const uint8_t PPK_ID[] = {2, 'q', '1'}; /* PPK_ID_FIXED */
static const uint8_t QUANTUM[] = "thirty-two octets of true chance";
static uint8_t ca[512], sun_cert[512], sun_key[64];
static size_t ca_len, sun_len, key_len;

/* The first block of a PEM text as DER. */
static size_t der_of(const char *pem, uint8_t *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;
    for (pem = strchr(pem, '\n'); *pem != '-'; pem++) {
        const char *at = *pem == '\n' || *pem == '=' ? NULL : strchr(digits, *pem);
        if (at == NULL)
            continue;
        bits = bits << 6 | (uint32_t)(at - digits);
        if ((have += 6) >= 8)
            out[n++] = (uint8_t)(bits >> (have -= 8));
    }
    return n;
}

/* A private key that is not in this program: `openssl` signs. 0 when there is none. */
static size_t token(ravelin_octets what, uint8_t *signature) {
    char folder[] = "/tmp/ravelin-c-token-XXXXXX", name[64], command[256];
    size_t len = 0;
    CHECK(mkdtemp(folder) != NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, i ? "what" : "key");
        FILE *f = fopen(name, "wb");
        CHECK(f != NULL);
        fwrite(i ? (const void *)what.data : (const void *)KEY, 1, i ? what.len : sizeof KEY - 1, f);
        fclose(f);
    }
    snprintf(command, sizeof command, "cd %s && openssl pkeyutl -sign -rawin -inkey key -in what -out signature 2>log", folder);
    if (system(command) == 0) {
        snprintf(name, sizeof name, "%s/signature", folder);
        FILE *f = fopen(name, "rb");
        CHECK(f != NULL);
        len = fread(signature, 1, 128, f);
        fclose(f);
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(system(command) == 0);
    return len;
}

typedef struct {
    ravelin_node *node;
    uint32_t refuses; /* questions of this kind get a no */
    int asked[8], up, rekeyed, keys, early_keys, sent;
    char reason[256], early_line[512];
} host;

/* Every answer that does not fit, and the right one to a question that was not asked: a status, and the question stays open. */
static void wrong_answers(host *h, const ravelin_ask *ask) {
    const uint8_t x[4] = {3, 1, 0, 4};
    ravelin_ticket t = ask->ticket, other = ask->ticket;
    bool secret = ask->kind == RAVELIN_ASK_KIND_SHARED_SECRET || ask->kind == RAVELIN_ASK_KIND_PPK;
#define WRONG(unless, call)                                                    \
    if (!(unless))                                                             \
    IS(call, RAVELIN_STATUS_CODE_WRONG_ANSWER)
    WRONG(ask->kind == RAVELIN_ASK_KIND_SIGN, ravelin_node_answer_signature(h->node, now, t, x, 4));
    WRONG(ask->kind == RAVELIN_ASK_KIND_VERIFY_CHAIN, ravelin_node_answer_public_key(h->node, now, t, x, 4));
    WRONG(secret, ravelin_node_answer_secret(h->node, now, t, x, 4));
    WRONG(ask->kind == RAVELIN_ASK_KIND_NEXT_PPK, ravelin_node_answer_ppk(h->node, now, t, x, 4, x, 4));
    WRONG(ask->kind == RAVELIN_ASK_KIND_EAP, ravelin_node_answer_eap(h->node, now, t, x, 4, NULL, 0));
    other.number += 1000;
    IS(ravelin_node_answer_refused(h->node, now, other, "x"), RAVELIN_STATUS_CODE_UNKNOWN_TICKET);
    other = t;
    other.sa += 1000;
    IS(ravelin_node_answer_refused(h->node, now, other, "x"), RAVELIN_STATUS_CODE_UNKNOWN_TICKET);
}

static void eap_server(host *h, const ravelin_ask *ask) {
    static const uint8_t question[] = {1, 7, 0, 13, 6, 'P', 'a', 's', 's', 'w', 'o', 'r', 'd'}; /* GTC */
    static const uint8_t good[] = {3, 7, 0, 4}, bad[] = {4, 7, 0, 4};
    CHECK(strcmp(ask->remote_id, "moon") == 0);
    if (ask->octets.len == 0) {
        OK(ravelin_node_answer_eap(h->node, now, ask->ticket, question, sizeof question, NULL, 0));
        return;
    }
    CHECK(ask->octets.len > 5 && ask->octets.data[0] == 2 && ask->octets.data[1] == 7 && ask->octets.data[4] == 6);
    bool knows = ask->octets.len == 7 && memcmp(ask->octets.data + 5, "pw", 2) == 0;
    OK(ravelin_node_answer_eap(h->node, now, ask->ticket, knows ? good : bad, 4, NULL, 0));
}

static void answer(host *h) {
    ravelin_ask ask;
    uint8_t signature[128];
    OK(ravelin_node_output_ask(h->node, &ask));
    CHECK(ask.kind > 0 && ask.kind < 8);
    h->asked[ask.kind]++;
    wrong_answers(h, &ask);
    if (ask.kind == h->refuses) {
        OK(ravelin_node_answer_refused(h->node, now, ask.ticket, "nobody knows"));
        return;
    }
    switch (ask.kind) {
    case RAVELIN_ASK_KIND_SIGN: {
        CHECK(ask.scheme == 5 && ask.public_key.len == sizeof SPKI && memcmp(ask.public_key.data, SPKI, sizeof SPKI) == 0);
        size_t len = token(ask.octets, signature);
        CHECK(len == 64);
        OK(ravelin_node_answer_signature(h->node, now, ask.ticket, signature, len));
        break;
    }
    case RAVELIN_ASK_KIND_VERIFY_CHAIN:
        CHECK(strcmp(ask.remote_id, "sun") == 0 && ask.chain_len == 1);
        CHECK(ask.chain[0].len == sun_len && memcmp(ask.chain[0].data, sun_cert, sun_len) == 0);
        OK(ravelin_node_answer_public_key(h->node, now, ask.ticket, SPKI, sizeof SPKI));
        break;
    case RAVELIN_ASK_KIND_SHARED_SECRET:
        OK(ravelin_node_answer_secret(h->node, now, ask.ticket, (const uint8_t *)"a secret", 8));
        break;
    case RAVELIN_ASK_KIND_PPK:
        CHECK(ask.octets.len == sizeof PPK_ID && memcmp(ask.octets.data, PPK_ID, sizeof PPK_ID) == 0);
        OK(ravelin_node_answer_secret(h->node, now, ask.ticket, QUANTUM, sizeof QUANTUM));
        break;
    case RAVELIN_ASK_KIND_NEXT_PPK:
        CHECK(strcmp(ask.peer_name, "peer") == 0 && strcmp(ask.local_id, "moon") == 0);
        OK(ravelin_node_answer_ppk(h->node, now, ask.ticket, PPK_ID, sizeof PPK_ID, QUANTUM, sizeof QUANTUM));
        break;
    default:
        eap_server(h, &ask);
    }
    /* a ticket is good for one answer */
    IS(ravelin_node_answer_refused(h->node, now, ask.ticket, "x"), RAVELIN_STATUS_CODE_UNKNOWN_TICKET);
}

static void event(host *h, uint32_t kind) {
    ravelin_event e;
    const char *table, *line;
    OK(ravelin_node_output_event(h->node, &e));
    CHECK(e.kind == kind);
    h->up += kind == RAVELIN_OUTPUT_ESTABLISHED;
    h->rekeyed += kind == RAVELIN_OUTPUT_REKEYED;
    if (kind == RAVELIN_OUTPUT_CLOSED || kind == RAVELIN_OUTPUT_NOTED)
        snprintf(h->reason + strlen(h->reason), sizeof h->reason - strlen(h->reason), "%s; ", e.reason);
    if (kind == RAVELIN_OUTPUT_HANDSHAKE_KEYS) {
        CHECK(h->up == 0 && e.sa != 0 && e.spi_i != 0 && e.spi_r != 0);
        OK(ravelin_node_output_keylog(h->node, 0, &table, &line));
        CHECK(strcmp(table, "ikev2_decryption_table") == 0);
        snprintf(h->early_line, sizeof h->early_line, "%s", line);
        h->early_keys++;
    } else if (kind == RAVELIN_OUTPUT_IKE_KEYS && h->keys++ == 0) {
        OK(ravelin_node_output_keylog(h->node, 0, &table, &line));
        CHECK(strcmp(h->early_line, line) == 0);
    }
}

static int drain(host *from, host *to) {
    uint32_t kind;
    int n = 0;
    while (ravelin_node_poll_output(from->node, &kind) == 0) {
        n++;
        if (kind == RAVELIN_OUTPUT_ASK)
            answer(from);
        else if (kind >= RAVELIN_OUTPUT_ESTABLISHED)
            event(from, kind);
        if (kind != RAVELIN_OUTPUT_TRANSMIT)
            continue;
        from->sent++;
        hand_over(from->node, to->node, kind, NULL, NULL);
    }
    return n;
}

static void settle(host *moon, host *sun) {
    for (int i = 0; i < 40; i++) {
        now.mono_us += 1000;
        if (drain(moon, sun) + drain(sun, moon) == 0)
            return;
    }
    CHECK(!"it comes to rest");
}

static host moon, sun;

static void over(void) {
    OK(ravelin_node_free(moon.node));
    OK(ravelin_node_free(sun.node));
}

/* The two meet; true when an IKE SA comes up and stays. */
static bool meets(ravelin_config *m, ravelin_config *s, uint32_t refuses) {
    uint64_t sa;
    memset(&moon, 0, sizeof moon);
    memset(&sun, 0, sizeof sun);
    moon.refuses = sun.refuses = refuses;
    moon.node = make(0, m);
    sun.node = make(1, s);
    OK(ravelin_node_initiate(moon.node, now, 1, 1, &sa));
    settle(&moon, &sun);
    /* sun may think that it is up until moon has judged */
    CHECK(moon.up == 1 ? sun.up == 1 && strlen(moon.reason) == 0 : strlen(moon.reason) > 0);
    return moon.up == 1;
}

static bool meet(void (*m)(ravelin_config *), void (*s)(ravelin_config *), uint32_t refuses) {
    ravelin_config *a = configure(0, true), *b = configure(1, true);
    m(a);
    s(b);
    return meets(a, b, refuses);
}

static bool said(const char *words) {
    return strstr(moon.reason, words) != NULL || strstr(sun.reason, words) != NULL;
}

/* What the two are told. */
static void trusts_a_ca(ravelin_config *c) {
    OK(ravelin_config_peer_auth(c, 1, "psk", "pubkey"));
    IS(ravelin_config_peer_anchor(c, 1, SPKI, sizeof SPKI), RAVELIN_STATUS_CODE_CONFIGURATION);
    OK(ravelin_config_peer_anchor(c, 1, ca, ca_len));
    OK(ravelin_config_export_keys(c, true));
}
static void trusts_nobody(ravelin_config *c) {
    OK(ravelin_config_peer_auth(c, 1, "psk", "pubkey"));
}
static void knows_the_key(ravelin_config *c) {
    OK(ravelin_config_peer_auth(c, 1, "psk", "pubkey"));
    IS(ravelin_config_peer_raw_key(c, 1, SPKI, 0), RAVELIN_STATUS_CODE_INVALID_ARGUMENT);
    OK(ravelin_config_peer_raw_key(c, 1, SPKI, sizeof SPKI));
}
static void asks_about_chains(ravelin_config *c) {
    trusts_nobody(c);
    OK(ravelin_config_asks(c, true, 5000));
}
static void has_a_certificate(ravelin_config *c) {
    ravelin_octets chain = {sun_cert, sun_len};
    const char *why;
    OK(ravelin_config_peer_auth(c, 1, "pubkey", "psk"));
    IS(ravelin_config_peer_credential(c, 1, &chain, 1, SPKI, sizeof SPKI), RAVELIN_STATUS_CODE_CONFIGURATION);
    OK(ravelin_config_error(c, &why));
    CHECK(strstr(why, "private key") != NULL);
    OK(ravelin_config_peer_credential(c, 1, &chain, 1, sun_key, key_len));
}
static void has_a_key(ravelin_config *c) {
    OK(ravelin_config_peer_auth(c, 1, "pubkey", "psk"));
    OK(ravelin_config_peer_credential(c, 1, NULL, 0, sun_key, key_len));
}
static void has_a_token(ravelin_config *c) {
    ravelin_octets chain = {sun_cert, sun_len};
    ravelin_scheme ed25519 = {5, 5}, unknown = {99, 2};
    OK(ravelin_config_peer_auth(c, 1, "pubkey", "psk"));
    OK(ravelin_config_asks(c, true, 5000));
    IS(ravelin_config_peer_credential_elsewhere(c, 1, &chain, 1, SPKI, sizeof SPKI, &unknown, 1), RAVELIN_STATUS_CODE_CONFIGURATION);
    IS(ravelin_config_peer_credential_elsewhere(c, 1, &chain, 1, SPKI, sizeof SPKI, NULL, 0), RAVELIN_STATUS_CODE_CONFIGURATION);
    IS(ravelin_config_peer_credential_elsewhere(c, 1, &chain, 1, SPKI, 0, &ed25519, 1), RAVELIN_STATUS_CODE_CONFIGURATION);
    OK(ravelin_config_peer_credential_elsewhere(c, 1, &chain, 1, SPKI, sizeof SPKI, &ed25519, 1));
}

static void certificates(void) {
    CHECK(meet(trusts_a_ca, has_a_certificate, 0));
    CHECK(moon.early_keys == 1 && moon.keys == 1 && sun.early_keys == 0); /* event 47, where keys are exported */
    over();
    CHECK(!meet(trusts_nobody, has_a_certificate, 0));
    over();
    CHECK(meet(knows_the_key, has_a_key, 0));
    over();
    CHECK(!meet(trusts_a_ca, has_a_key, 0) && said("certificate"));
    over();
}

/* PEM stands in the TOML text itself. */
static ravelin_config *told(const char *form, const char *a, const char *b) {
    char text[4096];
    ravelin_config *c = NULL;
    const char *why;
    int len = snprintf(text, sizeof text, form, a, b);
    CHECK(len > 0 && (size_t)len < sizeof text);
    OK(ravelin_config_new(&c));
    if (ravelin_config_load_toml(c, text, (size_t)len, "inline.toml") != RAVELIN_STATUS_CODE_OK) {
        OK(ravelin_config_error(c, &why));
        CHECK(strstr(why, "MC4CAQAw") == NULL); /* what is secret is not repeated */
        OK(ravelin_config_free(c));
        return NULL;
    }
    return c;
}

static void pem_in_a_text(void) {
    static const char left[] = "[[peer]]\nname = \"peer\"\nlocal = \"192.0.2.1\"\nremote = \"192.0.2.2\"\nlocal_id = \"moon\"\n"
                               "remote_id = \"sun\"\nauth = \"psk\"\nremote_auth = \"pubkey\"\npsk = \"%s\"\nca = '''\n%s'''\n"
                               "[[peer.child]]\nname = \"net\"\nlocal_ts = \"10.1.0.0/16\"\nremote_ts = \"10.2.0.0/16\"\n";
    static const char right[] = "[[peer]]\nname = \"peer\"\nlocal = \"192.0.2.2\"\nremote = \"192.0.2.1\"\nlocal_id = \"sun\"\n"
                                "remote_id = \"moon\"\nauth = \"pubkey\"\nremote_auth = \"psk\"\npsk = \"a secret\"\n"
                                "cert = '''\n%s'''\nkey = '''\n%s'''\n"
                                "[[peer.child]]\nname = \"net\"\nlocal_ts = \"10.2.0.0/16\"\nremote_ts = \"10.1.0.0/16\"\n";
    ravelin_config *a = told(left, "a secret", CA), *b = told(right, SUN, KEY);
    CHECK(a != NULL && b != NULL);
    CHECK(meets(a, b, 0));
    over();
    CHECK(told(right, CA, KEY) == NULL); /* the key is not that of the certificate */
    CHECK(told(right, SUN, "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n") == NULL);
}

static void keys_elsewhere(void) {
    bool openssl = system("openssl version > /dev/null 2>&1") == 0;
    CHECK(meet(asks_about_chains, has_a_certificate, 0));
    CHECK(moon.asked[RAVELIN_ASK_KIND_VERIFY_CHAIN] == 1);
    over();
    CHECK(!meet(asks_about_chains, has_a_certificate, RAVELIN_ASK_KIND_VERIFY_CHAIN) && said("nobody knows"));
    over();
    CHECK(!meet(trusts_a_ca, has_a_token, RAVELIN_ASK_KIND_SIGN) && said("nobody knows"));
    CHECK(sun.asked[RAVELIN_ASK_KIND_SIGN] == 1);
    over();
    if (!openssl) {
        puts("auth: skipped: no openssl to sign with");
        return;
    }
    CHECK(meet(trusts_a_ca, has_a_token, 0));
    CHECK(sun.asked[RAVELIN_ASK_KIND_SIGN] == 1);
    over();
}

static void nothing(ravelin_config *c) {
    (void)c;
}
static void asks(ravelin_config *c) {
    OK(ravelin_config_asks(c, true, 5000));
}
static void has_a_ppk(ravelin_config *c) {
    IS(ravelin_config_peer_ppk(c, 1, PPK_ID, 1, QUANTUM, sizeof QUANTUM, true), RAVELIN_STATUS_CODE_CONFIGURATION);
    OK(ravelin_config_peer_ppk(c, 1, PPK_ID, sizeof PPK_ID, QUANTUM, sizeof QUANTUM, true));
}
static void distributed(ravelin_config *c) {
    asks(c);
    OK(ravelin_config_peer_option(c, 1, RAVELIN_PEER_OPTION_PPK_ASKED, true));
    OK(ravelin_config_peer_option(c, 1, RAVELIN_PEER_OPTION_PPK_REKEY, true));
    OK(ravelin_config_peer_option(c, 1, RAVELIN_PEER_OPTION_PPK_REQUIRED, true));
}
static void may_distribute(ravelin_config *c) {
    asks(c);
    OK(ravelin_config_peer_option(c, 1, RAVELIN_PEER_OPTION_PPK_ASKED, true));
}

static void post_quantum(void) {
    uint64_t sa = 1;
    CHECK(meet(has_a_ppk, may_distribute, 0));
    CHECK(sun.asked[RAVELIN_ASK_KIND_PPK] >= 1 && moon.asked[RAVELIN_ASK_KIND_PPK] == 0);
    over();
    CHECK(!meet(has_a_ppk, may_distribute, RAVELIN_ASK_KIND_PPK));
    over();
    CHECK(!meet(has_a_ppk, nothing, 0) && said("USE_PPK"));
    over();
    CHECK(meet(distributed, has_a_ppk, 0));
    CHECK(moon.asked[RAVELIN_ASK_KIND_NEXT_PPK] == 1 && sun.asked[RAVELIN_ASK_KIND_PPK] == 0);
    OK(ravelin_node_rekey(moon.node, now, sa)); /* the next one */
    settle(&moon, &sun);
    CHECK(moon.rekeyed == 1 && sun.rekeyed == 1 && moon.asked[RAVELIN_ASK_KIND_NEXT_PPK] == 2);
    over();
    CHECK(!meet(distributed, has_a_ppk, RAVELIN_ASK_KIND_NEXT_PPK) && said("post-quantum"));
    over();
}

static void user_with(ravelin_config *c, const char *methods, const char *password) {
    OK(ravelin_config_peer_auth(c, 1, "eap", "pubkey"));
    OK(ravelin_config_peer_raw_key(c, 1, SPKI, sizeof SPKI));
    OK(ravelin_config_peer_eap(c, 1, methods, "moon", (const uint8_t *)password, strlen(password)));
}
static void gtc_user(ravelin_config *c) {
    user_with(c, "gtc", "pw");
}
static void forgetful_user(ravelin_config *c) {
    user_with(c, "gtc", "no");
}
static void mschap_user(ravelin_config *c) {
    user_with(c, "mschapv2,gtc", "pw");
}
static void server_with(ravelin_config *c, const char *methods, const char *user) {
    has_a_key(c);
    OK(ravelin_config_peer_auth(c, 1, "pubkey", "eap"));
    IS(ravelin_config_peer_eap(c, 1, "telepathy", NULL, NULL, 0), RAVELIN_STATUS_CODE_CONFIGURATION);
    OK(ravelin_config_peer_eap(c, 1, methods, user, (const uint8_t *)"pw", user ? 2 : 0));
}
static void relay(ravelin_config *c) {
    server_with(c, "relay", NULL);
    asks(c);
}
static void mschap_server(ravelin_config *c) {
    server_with(c, "mschapv2", "moon");
}

static void eap(void) {
    CHECK(meet(gtc_user, relay, 0));
    CHECK(sun.asked[RAVELIN_ASK_KIND_EAP] == 2);
    over();
    CHECK(!meet(forgetful_user, relay, 0) && said("EAP-Failure") && sun.asked[RAVELIN_ASK_KIND_EAP] == 2);
    over();
    CHECK(!meet(gtc_user, relay, RAVELIN_ASK_KIND_EAP) && said("nobody knows"));
    over();
    CHECK(meet(mschap_user, mschap_server, 0));
    over();
    CHECK(!meet(forgetful_user, mschap_server, 0)); /* no method in common */
    over();
}

static void hasty(ravelin_config *c) {
    OK(ravelin_config_peer_times(c, 1, 0, 0, 30, 0));
}
static void renews(ravelin_config *c) {
    OK(ravelin_config_peer_times(c, 1, 100, 0, 0, 0));
}

/* Lets time pass until seconds from now, timer by timer. */
static void pass(uint32_t seconds) {
    uint64_t end = now.mono_us + (uint64_t)seconds * 1000000, at;
    while (ravelin_node_deadline(moon.node, &at) == RAVELIN_STATUS_CODE_OK && at <= end) {
        now.mono_us = at > now.mono_us ? at : now.mono_us;
        OK(ravelin_node_handle_timeout(moon.node, now));
        settle(&moon, &sun);
    }
    now.mono_us = end;
}

static void times(void) {
    CHECK(meet(hasty, nothing, 0));
    int before = moon.sent;
    pass(25);
    CHECK(moon.sent == before);
    pass(10); /* silence: the peer is asked whether it lives */
    CHECK(moon.sent == before + 1 && moon.rekeyed == 0);
    over();
    CHECK(meet(renews, nothing, 0));
    pass(110);
    CHECK(moon.rekeyed == 1 && sun.rekeyed == 1);
    over();
}

static void guest(ravelin_config *c) {
    OK(ravelin_config_peer_option(c, 1, RAVELIN_PEER_OPTION_REQUEST_V4, true));
}

/* A program comes back: peers, policies and secrets are those of before. Without secrets nobody is let in. */
static void saved(void) {
    const char *json;
    size_t len;
    uint32_t id = 0;
    for (int secrets = 0; secrets < 2; secrets++) {
        CHECK(meet(guest, nothing, 0));
        OK(ravelin_node_save(sun.node, secrets, &json, &len));
        CHECK(strlen(json) == len && json[0] == '{' && strstr(json, "moon") != NULL);
        ravelin_config *c = NULL, *m = configure(0, true);
        OK(ravelin_config_new(&c));
        IS(ravelin_config_restore(c, json, len - 1), RAVELIN_STATUS_CODE_CONFIGURATION);
        IS(ravelin_config_restore(c, "{}", 2), RAVELIN_STATUS_CODE_CONFIGURATION);
        OK(ravelin_config_restore(c, json, len));
        OK(ravelin_config_find_policy(c, "net", &id));
        CHECK(id == 1);
        over();
        CHECK(meets(m, c, 0) == (secrets == 1));
        over();
    }
}

/* Another configuration for a node that runs: what stays is not touched, who is gone is told so. */
static void reloaded(void) {
    const char *said;
    uint32_t id = 7;
    CHECK(meet(guest, nothing, 0));
    ravelin_config *same = configure(1, true), *none = NULL;
    IS(ravelin_node_reload(NULL, now, same, &said), RAVELIN_STATUS_CODE_NULL_POINTER);
    IS(ravelin_node_reload(sun.node, now, NULL, &said), RAVELIN_STATUS_CODE_NULL_POINTER);
    IS(ravelin_node_reload(sun.node, now, same, NULL), RAVELIN_STATUS_CODE_NULL_POINTER);
    OK(ravelin_node_reload(sun.node, now, same, &said));
    CHECK(strstr(said, "removed") == NULL);
    OK(ravelin_config_new(&none));
    OK(ravelin_node_reload(sun.node, now, none, &said));
    CHECK(strstr(said, "removed: ") != NULL && strstr(said, "peer") != NULL);
    IS(ravelin_node_find_peer(sun.node, "peer", &id), RAVELIN_STATUS_CODE_UNKNOWN_PEER);
    ravelin_config_free(same);
    ravelin_config_free(none);
    over();
}

int main(void) {
    (void)forth;
    ca_len = der_of(CA, ca);
    sun_len = der_of(SUN, sun_cert);
    key_len = der_of(KEY, sun_key);
    CHECK(ca_len == 280 && sun_len == 320 && key_len == 48);
    certificates();
    pem_in_a_text();
    keys_elsewhere();
    post_quantum();
    eap();
    times();
    saved();
    reloaded();
    puts("auth: all as it should be");
    return 0;
}

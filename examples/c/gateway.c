/* A small IPsec gateway in plain C: one poll loop between UDP sockets, raw sockets for bare ESP, a TUN device and a
 * ravelin_node. All protocol work is the library's; this file owns the sockets, the clock and the randomness.
 *
 *     cc -std=c11 -O2 gateway.c $(pkg-config --cflags --libs ravelin) -o gateway     (or: make)
 *     ./gateway config.toml [keylog-folder]       as root; docs/gateway.md has the keys of the configuration
 *
 * SIGUSR1 prints what there is, SIGTERM deletes all SAs and ends. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <ravelin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 32, ROOM = 256, BUFFER = ROOM + 65536 + ROOM, SOCKETS = 6 };

struct socket_of {
    int fd, family, port; /* port 0: bare ESP */
};

static struct socket_of sockets[SOCKETS];
static int tun = -1;
static const char *keylog_folder;
static uint8_t buffers[BURST][BUFFER];
static volatile sig_atomic_t stop, show;

/* ---- small things ---- */

static void die(const char *what) {
    fprintf(stderr, "gateway: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The library's own mistakes and ours end here; what peers send never does. */
static void must(ravelin_status status, const char *what) {
    if (status == RAVELIN_STATUS_CODE_OK)
        return;
    fprintf(stderr, "gateway: %s: %s\n", what, ravelin_status_name(status));
    exit(1);
}

static ravelin_now clocks(void) {
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (ravelin_now){(uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000, (uint64_t)wall.tv_sec};
}

static const char *address(const ravelin_endpoint *e) {
    static char text[4][INET6_ADDRSTRLEN];
    static int next;
    next = (next + 1) % 4;
    return inet_ntop(e->family == 4 ? AF_INET : AF_INET6, e->addr, text[next], sizeof text[next]);
}

static void ip_command(const char *line) {
    if (system(line) != 0)
        fprintf(stderr, "gateway: failed: %s\n", line);
}

/* ---- sockets ---- */

static socklen_t to_sockaddr(const ravelin_endpoint *e, int port, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (e->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        memcpy(&in->sin_addr, e->addr, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    memcpy(&in6->sin6_addr, e->addr, 16);
    return sizeof *in6;
}

static void from_sockaddr(const struct sockaddr_storage *in, ravelin_endpoint *out) {
    memset(out, 0, sizeof *out);
    if (in->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)in;
        out->family = 4;
        out->port = ntohs(a->sin_port);
        memcpy(out->addr, &a->sin_addr, 4);
    } else {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)in;
        out->family = 6;
        out->port = ntohs(a->sin6_port);
        memcpy(out->addr, &a->sin6_addr, 16);
    }
}

static void open_socket(struct socket_of *s, int family, int port, uint32_t mark) {
    int on = 1, v6 = family == AF_INET6;
    *s = (struct socket_of){-1, family, port};
    s->fd = port ? socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
                 : socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ESP);
    if (s->fd < 0) {
        if (v6)
            return; /* a host without IPv6 */
        die("socket");
    }
    struct sockaddr_storage any;
    ravelin_endpoint zero = {.family = v6 ? 6 : 4};
    socklen_t len = to_sockaddr(&zero, port, &any);
    if (v6)
        setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    setsockopt(s->fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark); /* never into a tunnel */
    if (setsockopt(s->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on) < 0 ||
        (port && bind(s->fd, (struct sockaddr *)&any, len) < 0))
        die("bind");
}

static void send_to(const ravelin_path *path, bool bare, const uint8_t *data, size_t len) {
    int family = path->remote.family == 4 ? AF_INET : AF_INET6;
    for (struct socket_of *s = sockets; s < sockets + SOCKETS; s++) {
        if (s->fd < 0 || s->family != family || s->port != (bare ? 0 : path->local.port))
            continue;
        struct sockaddr_storage to;
        union {
            struct cmsghdr align;
            char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
        } control;
        memset(&control, 0, sizeof control);
        struct iovec iov = {(void *)(uintptr_t)data, len};
        struct msghdr msg = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
        msg.msg_namelen = to_sockaddr(&path->remote, bare ? 0 : path->remote.port, &to);
        struct cmsghdr *c = &control.align;
        if (family == AF_INET) { /* from the address that the peer knows */
            struct in_pktinfo info = {0};
            memcpy(&info.ipi_spec_dst, path->local.addr, 4);
            *c = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO};
            memcpy(CMSG_DATA(c), &info, sizeof info);
            msg.msg_controllen = CMSG_SPACE(sizeof info);
        } else {
            struct in6_pktinfo info = {0};
            memcpy(&info.ipi6_addr, path->local.addr, 16);
            *c = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO};
            memcpy(CMSG_DATA(c), &info, sizeof info);
            msg.msg_controllen = CMSG_SPACE(sizeof info);
        }
        if (sendmsg(s->fd, &msg, 0) < 0 && errno != EAGAIN)
            fprintf(stderr, "gateway: send to %s: %s\n", address(&path->remote), strerror(errno));
        return;
    }
}

/* One datagram; its length, or -1. */
static ssize_t receive(const struct socket_of *s, uint8_t *buffer, size_t cap, ravelin_path *path) {
    struct sockaddr_storage from;
    union {
        struct cmsghdr align;
        char room[256];
    } control;
    struct iovec iov = {buffer, cap};
    struct msghdr msg = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1,
                         .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t len = recvmsg(s->fd, &msg, 0);
    if (len < 0)
        return -1;
    memset(path, 0, sizeof *path);
    from_sockaddr(&from, &path->remote);
    path->local.family = path->remote.family;
    path->local.port = (uint16_t)s->port;
    if (s->port == 0)
        path->remote.port = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(path->local.addr, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(path->local.addr, &info.ipi6_addr, 16);
        }
    }
    return len;
}

/* ---- TUN device and routes ---- */

/* Prefix length of a range of addresses; -1: it is none. */
static int prefix_len(const ravelin_selector *s) {
    int bits = s->family == 4 ? 32 : 128, len = 0;
    while (len < bits && ((s->first[len / 8] ^ s->last[len / 8]) >> (7 - len % 8) & 1) == 0)
        len++;
    for (int i = len; i < bits; i++)
        if ((s->first[i / 8] >> (7 - i % 8) & 1) != 0 || (s->last[i / 8] >> (7 - i % 8) & 1) != 1)
            return -1;
    return len;
}

static void open_tun(ravelin_node *node, const ravelin_gateway *g) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    ravelin_policy policy;
    char line[256];
    tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(request.ifr_name, IFNAMSIZ, "%s", g->tun); /* the library has checked the name */
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request) < 0)
        die("/dev/net/tun");
    snprintf(line, sizeof line, "ip link set %s mtu %u up", g->tun, g->mtu);
    ip_command(line);
    for (const char *const *f = (const char *const[]){"-4", "-6", NULL}; *f; f++) {
        snprintf(line, sizeof line, "ip %s rule add pref %u not fwmark %u lookup %u", *f, g->route_table % 32000,
                 g->mark, g->route_table);
        ip_command(line);
    }
    for (size_t i = 0; ravelin_node_policy(node, i, &policy) == 0; i++)
        for (size_t t = 0; policy.action == 2 && t < policy.remote_ts_len; t++) {
            const ravelin_selector *s = &policy.remote_ts[t];
            ravelin_endpoint first = {.family = s->family};
            memcpy(first.addr, s->first, 16);
            if (prefix_len(s) < 0) {
                fprintf(stderr, "gateway: %s: no route for a range that is no prefix\n", policy.name);
                continue;
            }
            snprintf(line, sizeof line, "ip route replace %s/%d dev %s table %u", address(&first), prefix_len(s),
                     g->tun, g->route_table);
            ip_command(line);
        }
}

static void to_tun(const uint8_t *packet, size_t len) {
    if (write(tun, packet, len) < 0 && errno != EAGAIN)
        fprintf(stderr, "gateway: TUN device: %s\n", strerror(errno));
}

/* ---- the node's outputs ---- */

static void keylog(ravelin_node *node) {
    const char *table, *line;
    char path[4096];
    for (size_t i = 0; keylog_folder && ravelin_node_output_keylog(node, i, &table, &line) == 0; i++) {
        snprintf(path, sizeof path, "%s/%s", keylog_folder, table);
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, line, strlen(line)) < 0)
            fprintf(stderr, "gateway: %s: %s\n", path, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
}

static void tell(ravelin_node *node, uint32_t kind) {
    ravelin_event e;
    must(ravelin_node_output_event(node, &e), "event");
    unsigned long long sa = e.sa, child = e.child, old = e.old;
    switch (kind) {
    case RAVELIN_OUTPUT_ESTABLISHED:
        fprintf(stderr, "ike-%llu: up with %s (%s) at %s: %s\n", sa, e.remote_id, e.role ? "it began" : "we began",
                address(&e.path.remote), e.proposal);
        break;
    case RAVELIN_OUTPUT_CHILD_ESTABLISHED:
        fprintf(stderr, "child-%llu: Child SA up in ike-%llu, SPIs %08x %08x: %s\n", child, sa, (unsigned)e.spi_in,
                (unsigned)e.spi_out, e.proposal);
        break;
    case RAVELIN_OUTPUT_REKEYED:
        fprintf(stderr, "ike-%llu: takes the place of ike-%llu\n", sa, old);
        break;
    case RAVELIN_OUTPUT_CHILD_REKEYED:
        fprintf(stderr, "child-%llu: takes the place of child-%llu\n", child, old);
        break;
    case RAVELIN_OUTPUT_CHILD_CLOSED:
        fprintf(stderr, "child-%llu: closed: %s\n", child, e.reason);
        break;
    case RAVELIN_OUTPUT_CHILD_REFUSED:
    case RAVELIN_OUTPUT_CLOSED:
    case RAVELIN_OUTPUT_NOTED:
        fprintf(stderr, "ike-%llu: %s: %s\n", sa, kind == RAVELIN_OUTPUT_CLOSED ? "closed" : "note", e.reason);
        break;
    case RAVELIN_OUTPUT_IKE_KEYS:
    case RAVELIN_OUTPUT_CHILD_KEYS:
        keylog(node);
        break;
    default:
        break;
    }
}

/* After every call on the node: do what it wants done, in its order. */
static void drain(ravelin_node *node) {
    uint32_t kind;
    while (ravelin_node_poll_output(node, &kind) == RAVELIN_STATUS_CODE_OK) {
        if (kind == RAVELIN_OUTPUT_TRANSMIT || kind == RAVELIN_OUTPUT_ESP) {
            ravelin_path path;
            const uint8_t *data;
            size_t len;
            uint8_t how;
            must(ravelin_node_output_datagram(node, &path, &data, &len, &how), "datagram");
            send_to(&path, how == 0, data, len);
        } else if (kind >= RAVELIN_OUTPUT_ESTABLISHED) {
            tell(node, kind);
        }
    }
}

/* ---- packets ---- */

static void from_udp(ravelin_node *node, const struct socket_of *s) {
    ravelin_datagram burst[BURST];
    size_t n = 0;
    memset(burst, 0, sizeof burst);
    for (ssize_t len; n < BURST && (len = receive(s, buffers[n], BUFFER, &burst[n].path)) >= 0; n++) {
        burst[n].data = buffers[n];
        burst[n].len = (size_t)len;
    }
    must(ravelin_node_handle_datagrams(node, clocks(), burst, n), "datagrams");
    for (size_t i = 0; i < n; i++)
        if (burst[i].result.kind == RAVELIN_INGRESS_KIND_DELIVER)
            to_tun(burst[i].data + burst[i].result.offset, burst[i].result.len);
    drain(node);
}

static void from_raw(ravelin_node *node, const struct socket_of *s) {
    ravelin_path path;
    ravelin_ingress in;
    ssize_t len;
    for (int n = 0; n < BURST && (len = receive(s, buffers[0], BUFFER, &path)) >= 0; n++) {
        ssize_t skip = s->family == AF_INET ? (buffers[0][0] & 15) * 4 : 0; /* a raw IPv4 socket shows the header */
        if (skip > len)
            continue;
        must(ravelin_node_handle_esp(node, clocks(), &path, NULL, buffers[0] + skip, (size_t)(len - skip), &in), "ESP");
        if (in.kind == RAVELIN_INGRESS_KIND_DELIVER)
            to_tun(buffers[0] + skip + in.offset, in.len);
    }
    drain(node);
}

static void from_tun(ravelin_node *node) {
    ravelin_packet burst[BURST];
    size_t n = 0;
    memset(burst, 0, sizeof burst);
    for (ssize_t len; n < BURST && (len = read(tun, buffers[n] + ROOM, 65536)) > 0; n++) {
        burst[n].buf = buffers[n];
        burst[n].cap = BUFFER;
        burst[n].offset = ROOM;
        burst[n].len = (size_t)len;
    }
    must(ravelin_node_handle_packets(node, clocks(), NULL, burst, n), "packets");
    for (size_t i = 0; i < n; i++)
        if (burst[i].result.kind == RAVELIN_EGRESS_KIND_SENT)
            send_to(&burst[i].result.path, burst[i].result.encapsulation == 0,
                    burst[i].buf + burst[i].result.offset, burst[i].result.len);
    drain(node);
}

static void print(ravelin_node *node) {
    ravelin_snapshot *snapshot;
    ravelin_sa_info sa;
    ravelin_child_info child;
    ravelin_child_stats stats;
    must(ravelin_node_snapshot(node, clocks(), &snapshot), "snapshot");
    for (size_t i = 0; ravelin_snapshot_sa(snapshot, i, &sa) == 0; i++) {
        printf("ike-%llu %s state %u, %s === %s, %s\n", (unsigned long long)sa.sa, sa.peer_name, (unsigned)sa.state,
               sa.local_id, sa.remote_id, sa.proposal);
        for (size_t c = 0; ravelin_snapshot_child(snapshot, i, c, &child) == 0; c++)
            if (ravelin_node_stats(node, child.child, &stats) == 0)
                printf("  child-%llu in %llu packets, %llu octets, out %llu packets, %llu octets, %s\n",
                       (unsigned long long)child.child, (unsigned long long)stats.inbound.packets,
                       (unsigned long long)stats.inbound.bytes, (unsigned long long)stats.outbound.packets,
                       (unsigned long long)stats.outbound.bytes, child.proposal);
    }
    fflush(stdout);
    ravelin_snapshot_free(snapshot);
}

/* ---- start ---- */

static ravelin_config *load(const char *file) {
    static char text[1 << 20];
    ravelin_config *config;
    ravelin_peer_info peer;
    const char *why;
    FILE *f = fopen(file, "r");
    if (!f)
        die(file);
    size_t len = fread(text, 1, sizeof text, f);
    fclose(f);
    must(ravelin_config_new(&config), "configuration");
    if (ravelin_config_load_toml(config, text, len, file) != RAVELIN_STATUS_CODE_OK) {
        must(ravelin_config_error(config, &why), "error");
        fprintf(stderr, "gateway: %s\n", why);
        exit(1);
    }
    /* where no address of ours is configured, the routing table knows it */
    for (size_t i = 0; ravelin_config_peer(config, i, &peer) == 0; i++) {
        struct sockaddr_storage at;
        ravelin_endpoint mine;
        socklen_t size = sizeof at;
        if (peer.local.family != 0 || peer.remote.family == 0)
            continue;
        int fd = socket(peer.remote.family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&at, to_sockaddr(&peer.remote, 500, &at)) < 0 ||
            getsockname(fd, (struct sockaddr *)&at, &size) < 0)
            die("no route to a peer");
        close(fd);
        from_sockaddr(&at, &mine);
        must(ravelin_config_peer_addresses(config, peer.peer, address(&mine), address(&peer.remote), peer.remote.port),
             "addresses");
    }
    if (keylog_folder)
        must(ravelin_config_export_keys(config, true), "key log");
    return config;
}

static void on_signal(int number) {
    if (number == SIGUSR1)
        show = 1;
    else
        stop = 1;
}

int main(int argc, char **argv) {
    if (argc < 2 || ravelin_abi_version() >> 16 != RAVELIN_ABI_VERSION >> 16) {
        fprintf(stderr, argc < 2 ? "usage: gateway config.toml [keylog-folder]\n" : "gateway: another ABI\n");
        return 2;
    }
    keylog_folder = argc > 2 ? argv[2] : NULL;
    uint8_t seed[32];
    ravelin_node *node;
    ravelin_gateway g;
    ravelin_config *config = load(argv[1]);
    if (getrandom(seed, sizeof seed, 0) != sizeof seed)
        die("getrandom");
    must(ravelin_node_new(config, seed, sizeof seed, &node), "node");
    explicit_bzero(seed, sizeof seed);
    must(ravelin_config_gateway(config, &g), "[gateway]");
    int ports[] = {g.ike_port, g.nat_port, 0}, families[] = {AF_INET, AF_INET6};
    for (int i = 0; i < SOCKETS; i++)
        open_socket(&sockets[i], families[i % 2], ports[i / 2], g.mark);
    open_tun(node, &g);
    must(ravelin_config_free(config), "configuration");

    struct sigaction act = {.sa_handler = on_signal};
    sigset_t waited, before;
    sigemptyset(&waited);
    for (const int *s = (const int[]){SIGTERM, SIGINT, SIGUSR1, 0}; *s; s++) {
        sigaction(*s, &act, NULL);
        sigaddset(&waited, *s);
    }
    sigprocmask(SIG_BLOCK, &waited, &before); /* they come in ppoll only */
    fprintf(stderr, "gateway: running, ravelin %s\n", ravelin_version());
    must(ravelin_node_start(node, clocks()), "start");
    drain(node);

    uint64_t patience = UINT64_MAX;
    for (bool idle = false; !(stop && idle) && clocks().mono_us < patience;) {
        struct pollfd wait[SOCKETS + 1];
        uint64_t at = UINT64_MAX, t = clocks().mono_us;
        ravelin_node_deadline(node, &at); /* "nothing there" leaves it in the far future */
        if (at > patience)
            at = patience;
        struct timespec left = {3600, 0};
        if (at < t + 3600000000u)
            left = (struct timespec){(time_t)(at > t ? (at - t) / 1000000 : 0), (long)(at > t ? (at - t) % 1000000 : 0) * 1000};
        for (int i = 0; i < SOCKETS; i++)
            wait[i] = (struct pollfd){sockets[i].fd, POLLIN, 0};
        wait[SOCKETS] = (struct pollfd){tun, POLLIN, 0};
        int ready = ppoll(wait, SOCKETS + 1, &left, &before);
        for (int i = 0; ready > 0 && i < SOCKETS; i++)
            if (wait[i].revents & POLLIN)
                sockets[i].port ? from_udp(node, &sockets[i]) : from_raw(node, &sockets[i]);
        if (ready > 0 && wait[SOCKETS].revents & POLLIN)
            from_tun(node);
        if (clocks().mono_us >= at) {
            must(ravelin_node_handle_timeout(node, clocks()), "timeout");
            drain(node);
        }
        if (show) {
            show = 0;
            print(node);
        }
        if (stop && patience == UINT64_MAX) {
            patience = clocks().mono_us + 5000000; /* for peers that do not answer */
            must(ravelin_node_shutdown(node, clocks()), "shutdown");
            drain(node);
        }
        must(ravelin_node_is_idle(node, &idle), "idle");
    }
    must(ravelin_node_free(node), "node");
    fprintf(stderr, "gateway: ended in order\n");
    return 0;
}

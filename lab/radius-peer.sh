#!/bin/bash
# FreeRADIUS (Debian's package) on a side, ports 1812 and 1813: knows a@lab.test by EAP-MSCHAPv2 or EAP-MD5.
#   radius-peer.sh up|log|down [SIDE]
# The shared secret is labsecret-radius. Its answer grants 10.3.0.7, name servers 10.3.0.53 and .54, and Class "gold";
# what is reported stands in $LAB_STATE/radius-SIDE/detail.
. "$(dirname "$0")/lib.sh"
cmd=${1:-}; side=${2:-b}
D=$LAB_STATE/radius-$side
case $cmd in
up)
  need ip freeradius
  have_ns "$side" || die "no namespace $(ns "$side"): run net.sh up first"
  rm -rf "$D"; mkdir -p "$D"
  echo '$INCLUDE /usr/share/freeradius/dictionary' > "$D/dictionary"
  cat > "$D/users" <<'USERS'
a@lab.test Cleartext-Password := "labsecret-eap"
	Framed-IP-Address = 10.3.0.7,
	Framed-IP-Netmask = 255.255.255.0,
	MS-Primary-DNS-Server = 10.3.0.53,
	MS-Secondary-DNS-Server = 10.3.0.54,
	Session-Timeout = 3600,
	Class = "gold"
USERS
  cat > "$D/radiusd.conf" <<CONF
prefix = /usr
raddbdir = $D
logdir = $D
run_dir = $D
db_dir = $D
libdir = /usr/lib/freeradius
pidfile = $D/pid
max_requests = 1024
log {
  destination = files
  file = $D/radius.log
  auth = yes
}
security {
  reject_delay = 0
  max_attributes = 200
}
thread pool {
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 2
}
client lab {
  ipaddr = 0.0.0.0/0
  secret = labsecret-radius
  require_message_authenticator = yes
}
modules {
  files {
    usersfile = $D/users
  }
  mschap {
    use_mppe = yes
    require_encryption = yes
    require_strong = yes
  }
  eap {
    default_eap_type = mschapv2
    timer_expire = 60
    max_sessions = 64
    md5 {
    }
    mschapv2 {
    }
  }
  detail {
    filename = $D/detail
  }
}
server lab {
  listen {
    type = auth
    ipaddr = *
    port = 1812
  }
  listen {
    type = acct
    ipaddr = *
    port = 1813
  }
  authorize {
    files
    eap
  }
  authenticate {
    eap
    Auth-Type MS-CHAP {
      mschap
    }
  }
  accounting {
    detail
  }
}
CONF
  in_ns "$side" freeradius -f -d "$D" -n radiusd -l "$D/stdout.log" > "$D/stderr" 2>&1 &
  wait_for 60 grep -qs 'Ready to process requests' "$D/radius.log" "$D/stdout.log" || { tail -20 "$D"/*.log "$D/stderr" >&2; die "FreeRADIUS did not start"; }
  echo "FreeRADIUS on side $side"
  ;;
log) cat "$D"/*.log;;
down) stop_pid "$D/pid";;
*) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2;;
esac

#!/bin/bash
# Builds the C library and installs header, static and shared library and pkg-config file.
#   install.sh [--prefix DIR] [--libdir DIR] [--destdir DIR] [--profile release|dev] [--no-build LIBDIR]
# Default: /usr/local, $prefix/lib, no staging folder, release. --no-build takes libravelin_c.a and .so from a folder.
# In the static library only ravelin_* is visible, as in the shared one (needs ld and objcopy of binutils).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=/usr/local libdir='' destdir='' profile=release built=''
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) prefix=$2; shift;; --libdir) libdir=$2; shift;; --destdir) destdir=$2; shift;;
    --profile) profile=$2; shift;; --no-build) built=$2; shift;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2;;
  esac
  shift
done
libdir=${libdir:-$prefix/lib}
if [ -z "$built" ]; then
  # Without the rlib, which would switch optimisation across crates off.
  (cd "$here" && cargo rustc -p ravelin-c --lib --profile "$profile" --crate-type staticlib,cdylib)
  target=$(cd "$here" && cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  built=$target/$profile; [ "$profile" != dev ] || built=$target/debug
fi
version=$(sed -n '/^\[workspace.package\]/,/^version/s/^version = "\(.*\)"/\1/p' "$here/../../Cargo.toml")
major=$(sed -n 's/^ *let major = "\(.*\)";/\1/p' "$here/build.rs")
lib=$destdir$libdir

mkdir -p "$lib/pkgconfig" "$destdir$prefix/include"
install -m 644 "$here/include/ravelin.h" "$destdir$prefix/include/ravelin.h"
install -m 755 "$built/libravelin_c.so" "$lib/libravelin.so.$major.$version"
ln -sf "libravelin.so.$major.$version" "$lib/libravelin.so.$major"
ln -sf "libravelin.so.$major" "$lib/libravelin.so"

# One object with everything, in which only ravelin_* stays global: no clash with another library made by Rust.
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
ld -r -o "$work/ravelin.o" --whole-archive "$built/libravelin_c.a"
objcopy --wildcard --keep-global-symbol='ravelin_*' --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd "$work/ravelin.o"
rm -f "$lib/libravelin.a"
ar rcs "$lib/libravelin.a" "$work/ravelin.o"
chmod 644 "$lib/libravelin.a"

cat > "$lib/pkgconfig/ravelin.pc" <<PC
prefix=$prefix
libdir=$libdir
includedir=\${prefix}/include

Name: ravelin
Description: IKEv2 and ESP without I/O
Version: $version
Libs: -L\${libdir} -lravelin
Libs.private: -lpthread -ldl -lm
Cflags: -I\${includedir}
PC
echo "installed: $lib/libravelin.{a,so.$major.$version}, $destdir$prefix/include/ravelin.h, $lib/pkgconfig/ravelin.pc"

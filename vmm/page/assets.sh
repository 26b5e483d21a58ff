#!/bin/sh
# Files as symbols in read-only data: assets.sh OUTPUT.S NAME FILE... [-- NAME FILE...]...
# The text of gpremap_asset_NAME up to gpremap_asset_NAME_end is that of its files, one behind the other.
set -eu
output=$1
shift
{
    echo '.section .rodata'
    while [ $# -gt 0 ]; do
        name=gpremap_asset_$1
        shift
        echo ".globl $name, ${name}_end"
        echo "$name:"
        while [ $# -gt 0 ] && [ "$1" != -- ]; do
            echo ".incbin \"$1\""
            shift
        done
        echo "${name}_end:"
        echo '.byte 0'
        [ $# -eq 0 ] || shift
    done
    echo '.section .note.GNU-stack, "", @progbits'
} >"$output"

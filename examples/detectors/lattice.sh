#!/bin/sh
# Any command as a detector: it reads one text on standard input and exits with 0
# for present, 1 for absent; its first line is the reason. The Python helper speaks
# the protocol, since a shell cannot take JSON apart safely. Every text costs a
# process, so this is slow: for a hundred texts, not for a million.
here=$(dirname "$0")
exec python3 "$here/heirloom_detector.py" --name lattice-sh --version 1 -- grep -o -i -E 'lattice|spiral'

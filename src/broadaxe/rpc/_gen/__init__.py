"""Generated protobuf modules. Written by `scripts/gen_proto.sh` from `proto/`; never edited by hand."""

"""The packaged model, which `sharnn pretrained` writes out: small, of bytes, trained on the King James Bible."""

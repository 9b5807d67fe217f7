# Names only; the work is in `xtask`.
test:
    ./test
bench:
    cargo xtask bench
fuzz seconds="60":
    cargo xtask fuzz {{seconds}}

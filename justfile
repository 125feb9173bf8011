# What there is to do; `just` lists it.

_list:
    @just --list --unsorted

# Run the server with everything on
dev:
    cargo run -- dev

# Run every test
test:
    cargo test

# What must hold before a commit
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Write the generated files again
gen:
    cargo run -- schema > schema.graphql.new && mv schema.graphql.new schema.graphql

# Say whether the generated files are current
gen-check:
    cargo test --test it schema::the_file_is_the_schema

# Generate clients from the schema, compile them, sign in with each; say whether the last release's still work
codegen:
    cargo build
    tests/clients/run target/debug/keywheel
    cd tests/web && npm install --no-package-lock --no-audit --no-fund --silent
    node tests/web/breaking.mjs .

# What CI runs
ci:
    .ci/run

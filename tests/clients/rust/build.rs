//! What is generated is generated again when the schema or an operation changes.

fn main() {
    println!("cargo::rerun-if-changed=../../../schema.graphql");
    println!("cargo::rerun-if-changed=../../operations");
}

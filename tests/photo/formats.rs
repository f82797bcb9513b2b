#[test]
fn probe() {
    let Some(path) = std::env::var_os("PROBE") else { return };
    let bytes = std::fs::read(path).unwrap();
    let t = std::time::Instant::now();
    let r = crate::shared::full(&bytes);
    eprintln!("{:?} {:?}", t.elapsed(), r.map(|d| d.pixels));
}

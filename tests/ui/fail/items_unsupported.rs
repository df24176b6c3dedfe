use session_expire::session_policy;

#[session_policy(idle = "1m")]
struct Struct; //~ ERROR

#[session_policy(idle = "1m")]
enum Enum {} //~ ERROR

#[session_policy(idle = "1m")]
trait Trait {} //~ ERROR

#[session_policy(idle = "1m")]
impl Struct {} //~ ERROR

#[session_policy(idle = "1m")]
const CONSTANT: u8 = 1; //~ ERROR

#[session_policy(idle = "1m")]
pub use std::fmt; //~ ERROR

fn main() {}

//! How long and how large the fields of a request may be.

/// The entries of a list when the client does not say how many.
pub const LIMIT_DEFAULT: u32 = 100;
/// The most entries of a list a client may ask for.
pub const LIMIT_MAX: u32 = 1_000;
/// The longest ban: a year. Longer is a matter for the policy.
pub const BAN_SECONDS_MAX: u64 = 31_536_000;
/// The longest reason of a ban.
pub const REASON_BYTES_MAX: usize = 256;
/// The longest time a token may be valid that expires at all: ten years.
pub const TOKEN_EXPIRES_SECONDS_MAX: u64 = 315_360_000;
/// The longest id of a call, a trace or a token.
pub const IDENTIFIER_BYTES_MAX: usize = 256;
/// The longest user or address of record.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// The cause that a call is ended with when the client names none: normal call clearing.
//= https://www.itu.int/rec/T-REC-Q.850#section-2.2.7.1.7
pub(crate) const CAUSE_DEFAULT: u8 = 16;
/// The highest cause of Q.850, of seven bits.
pub(crate) const CAUSE_MAX: u8 = 127;
/// Field errors in one answer; a client that has more than that has another problem.
pub(crate) const FIELD_PROBLEMS_MAX: usize = 32;
/// The longest question to the council.
pub const QUESTION_BYTES_MAX: usize = 1_024;
/// The longest time a link for evidence may be good: thirty days.
pub const LINK_SECONDS_MAX: u64 = 2_592_000;
/// For so many seconds at most a vote is open: thirty days.
pub const VOTE_SECONDS_MAX: u64 = 2_592_000;

//! Tokens: whose they are, and giving and taking them.

use super::change::{Change, actor};
use super::{Operators, locked};
use crate::serve::clock::wall;
use crate::tokens::object as token_object;
use serde_json::json;
use std::time::Duration;
use sx_http::{ApiAnswer, ApiProblem, AuthenticationFailed, BASE, Caller, FieldProblem, Place, Role};
use sx_store::{NewToken, TOKEN_RANDOM_BYTES, TokenRefused, TokensError};
use sx_witness::Facts;
use tracing::error;

impl Operators {
    pub(super) fn whose(&self, secret: &str) -> Result<Caller, AuthenticationFailed> {
        // Tokens are made and expire by the wall clock, also while a machine sleeps and after its clock was put right.
        let found = locked(&self.tokens).look_up(secret, wall());
        match found {
            Ok((token, role)) => Ok(Caller { name: token.name.into(), role, id: token.id.into() }),
            Err(TokenRefused::Unknown) => Err(AuthenticationFailed::Unknown),
            Err(TokenRefused::Expired { id, .. }) => Err(AuthenticationFailed::Expired { id: id.into() }),
            Err(TokenRefused::Revoked { id, .. }) => Err(AuthenticationFailed::Revoked { id: id.into() }),
            Err(TokenRefused::Role { id }) => Err(AuthenticationFailed::Role { id: id.into() }),
            Err(TokenRefused::Database(error)) => Err(AuthenticationFailed::Unavailable { reason: error.to_string() }),
        }
    }

    pub(super) fn list_tokens(&self) -> Result<ApiAnswer, ApiProblem> {
        let tokens = locked(&self.tokens).list().map_err(problem)?;
        Ok(ApiAnswer::Json(json!({ "tokens": tokens.iter().map(token_object).collect::<Vec<_>>() })))
    }

    pub(super) fn create_token(
        &self,
        caller: &Caller,
        name: &str,
        role: Role,
        expires_s: Option<u64>,
    ) -> Result<ApiAnswer, ApiProblem> {
        let mut random = [0; TOKEN_RANDOM_BYTES];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| ApiProblem::internal())?;
        let mut change = Change::new("create_token", name).with("role", role.as_str());
        if let Some(seconds) = expires_s {
            change = change.with("expires_s", seconds);
        }
        self.change_telling(caller, &change, || {
            let now = wall();
            let expires = expires_s.map(|seconds| now + Duration::from_secs(seconds));
            let new = NewToken { name, role, expires };
            let made = self.live.token_actors.making(&actor(caller), || {
                let made = locked(&self.tokens).create(new, now, &random);
                made.map(|(token, secret)| (token.id.clone(), (token, secret)))
            });
            let (token, secret) = made.map_err(problem)?;
            let facts = Facts::new().with("token", token.id.to_string());
            let mut body = token_object(&token);
            body["secret"] = secret.as_str().into();
            Ok((ApiAnswer::Created { location: format!("{BASE}/tokens/{}", token.id), body }, facts))
        })
    }

    pub(super) fn revoke_token(&self, caller: &Caller, id: &str) -> Result<ApiAnswer, ApiProblem> {
        self.change(caller, &Change::new("revoke_token", id), || {
            let revoked = self.live.token_actors.revoking(&actor(caller), || {
                let revoked = locked(&self.tokens).revoke(id, wall());
                revoked.map(|()| (id.into(), ()))
            });
            revoked.map(|()| ApiAnswer::NoContent).map_err(problem)
        })
    }
}

fn problem(error: TokensError) -> ApiProblem {
    match error {
        TokensError::Name { .. } => ApiProblem::invalid(vec![FieldProblem {
            field: "name".into(),
            place: Place::Body,
            detail: error.to_string(),
        }]),
        TokensError::ExpiresAtOnce | TokensError::TooMany => ApiProblem::conflict(error.to_string()),
        TokensError::Unknown { .. } => ApiProblem::not_found(error.to_string()),
        TokensError::Database(error) => {
            error!(%error, "tokens could not be read or changed");
            ApiProblem::unavailable("tokens cannot be read or changed at the moment")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::operators;
    use super::*;
    use crate::serve::clock::Clock;

    #[test]
    fn a_token_expires_by_the_wall_clock_whatever_the_time_of_the_process() {
        const DAY: Duration = Duration::from_secs(86_400);
        let folder = tempfile::tempdir().expect("a folder");
        // As after two days of sleep: the process has not noticed them.
        let operators = Operators { clock: Clock::showing(wall() - DAY * 2), ..operators(folder.path()) };
        let new = NewToken { name: "anna", role: Role::Viewer, expires: Some(wall() - DAY) };
        let made = locked(&operators.tokens).create(new, wall() - DAY * 2, &[7; TOKEN_RANDOM_BYTES]);
        let (token, secret) = made.expect("a token");
        let expired = AuthenticationFailed::Expired { id: token.id.into() };
        assert_eq!(operators.whose(secret.as_str()), Err(expired));
    }
}

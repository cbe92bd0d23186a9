//! What the Registry's object is asked, by the Worker and by coordinators: a path and JSON, answered with JSON.

use std::rc::Rc;

use futures_util::{FutureExt, future::LocalBoxFuture};
use keyward_core::{
    changes::ReadChanges,
    entropy::Entropy,
    link::Redeem,
    registry_call::{GetHealth, RegistryCall as _, RegistryHealth},
    secret::{NoSecret, Secret, Secrets},
    sql::SqlError,
};
use keyward_limits::wire::UsageReport;

use crate::{
    admin_call::AdminCall, call::Deployment, change_log, error::ApiError, links, members,
    publish_error::PublishError, publisher::Publisher, setup_token,
};

/// What an answer needs beside the call.
pub struct ObjectContext<'a> {
    /// The deployment's secrets. Without them calls are refused.
    pub secrets: Result<Rc<Secrets>, NoSecret>,
    /// `KEYWARD_SETUP_TOKEN`, if it is set.
    pub setup_token: Option<&'a Secret>,
    /// `KEYWARD_RECOVERY_TOKEN`, if it is set.
    pub recovery_token: Option<&'a Secret>,
    /// Randomness.
    pub entropy: &'a mut dyn Entropy,
}

/// Why the object has no answer. Its caller sees a store that fails.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The call is not what it should be.
    #[error("the call cannot be read: {0}")]
    Call(#[from] keyward_json::Error),
    /// The answer cannot be written as JSON.
    #[error("the answer cannot be written: {0}")]
    Answer(#[from] serde_json::Error),
    /// The database or the platform failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl Publisher {
    /// Answers what the object is asked; `None` if it has no such call. Boxed, so that all of it is compiled in this crate.
    pub fn serve<'a>(
        self: &'a Rc<Self>,
        path: &'a str,
        body: &'a str,
        context: ObjectContext<'a>,
    ) -> LocalBoxFuture<'a, Result<Option<String>, ObjectError>> {
        let ObjectContext { secrets, setup_token, recovery_token, entropy } = context;
        async move {
            let answer = match path {
                AdminCall::PATH => {
                    let call = keyward_json::from_str(body)?;
                    let reply = match secrets {
                        Ok(secrets) => {
                            let deployment = Deployment { secrets: &secrets, setup_token, recovery_token };
                            self.answer(&call, deployment, entropy).await
                        }
                        Err(missing) => ApiError::from(missing).reply(&call.request_id),
                    };
                    serde_json::to_string(&reply)?
                }
                GetHealth::PATH => serde_json::to_string(&self.health(setup_token, recovery_token).await)?,
                Redeem::PATH => {
                    self.open().await?;
                    let (db, policy, now) = (self.platform.db(), self.platform.policy(), self.platform.now());
                    serde_json::to_string(&links::redeem(db, policy, &keyward_json::from_str(body)?, now)?)?
                }
                ReadChanges::PATH => {
                    self.open().await?;
                    let call = keyward_json::from_str(body)?;
                    let (db, policy, now) = (self.platform.db(), self.platform.policy(), self.platform.now());
                    let news = change_log::read(db, &call, now, entropy, policy)?;
                    serde_json::to_string(&news)?
                }
                UsageReport::PATH => {
                    let report = keyward_json::from_str(body)?;
                    let secrets = secrets.ok();
                    serde_json::to_string(&self.take_usage(&report, secrets.as_deref()).await?)?
                }
                _ => return Ok(None),
            };
            Ok(Some(answer))
        }
        .boxed_local()
    }

    /// What is wrong with the object, and with the tokens of set-up and recovery.
    async fn health(&self, setup_token: Option<&Secret>, recovery_token: Option<&Secret>) -> RegistryHealth {
        // An object that is open reads its database here, and nowhere before.
        let (has_owner, fault) = match self.has_owner().await {
            Ok(has_owner) => (has_owner, None),
            Err(error) => (true, Some(error.to_string())),
        };
        let recovery = setup_token::recovery_fault(recovery_token).err();
        let set_up = setup_token::set_up_fault(has_owner, setup_token).err().or(recovery);
        RegistryHealth { fault, set_up: set_up.map(|error| error.to_string()) }
    }

    async fn has_owner(&self) -> Result<bool, ObjectError> {
        self.open().await?;
        Ok(members::exist(self.platform.db())?)
    }
}

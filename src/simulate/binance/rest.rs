//! Binance over REST.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::routes::{self, Security};
use super::{Fault, Params, sign};
use crate::runtime::clock;
use crate::simulate::floor::{Floor, Granted, locked};
use crate::simulate::socket::{self, Asked};

/// Answers one request.
pub fn answer(floor: &Floor, asked: Asked) -> Response {
    let params: Params = socket::pairs(&asked.query).chain(socket::pairs(&asked.body)).collect();
    let Some(route) = routes::find(&format!("{} {}", asked.method, asked.path)) else {
        return refused(&Fault::new(404, -1000, "the simulator does not play this endpoint"));
    };
    let (weight, sapi) = ((route.weight)(&params), asked.path.starts_with("/sapi/"));
    let result = granted(floor, weight).and_then(|()| {
        let who = match route.security {
            Security::Public => None,
            Security::Keyed => Some(sign::keyed(floor, &asked)?),
            Security::Signed => Some(sign::rest(floor, &asked, &params, clock::now())?),
        };
        (route.answer)(floor, who, &params)
    });
    let mut response = match result {
        Ok(value) => socket::json(StatusCode::OK, &value),
        Err(fault) => refused(&fault),
    };
    let (name, used) = match sapi {
        true => ("x-sapi-used-ip-weight-1m", 1),
        false => ("x-mbx-used-weight-1m", locked(&floor.weight).used),
    };
    response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(used));
    response
}

/// Takes weight from the allowance or refuses as Binance does.
pub fn granted(floor: &Floor, weight: u32) -> Result<(), Fault> {
    match floor.spend(weight) {
        Granted::Yes => Ok(()),
        Granted::Wait(secs) => Err(Fault::too_much(floor.settings.weight_per_minute, secs, false)),
        Granted::Banned(secs) => Err(Fault::too_much(floor.settings.weight_per_minute, secs, true)),
    }
}

/// Answers with an error.
pub fn refused(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = socket::json(status, &fault.value());
    if let Some(secs) = fault.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

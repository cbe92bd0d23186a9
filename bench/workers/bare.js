// Forwards each request as it is: the least that anything in front of an origin costs.
export default { fetch: (request, env) => env.ORIGIN.fetch(request) };

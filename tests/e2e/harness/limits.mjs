/** Limits as the API shows them: null for each window that is not named here. */
export const limits = (rate = {}) => ({
  perSecond: null,
  perMinute: null,
  perHour: null,
  perDay: null,
  perMonth: null,
  total: null,
  inFlight: null,
  ...rate,
});

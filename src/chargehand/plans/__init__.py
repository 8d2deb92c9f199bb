"""Plan formats: text with positions in, `chargehand.domain.plan.Plan` out."""

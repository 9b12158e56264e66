-- Turbine performance metrics
SELECT
  turbine_id,
  AVG(power_output) as avg_power_mw,
  AVG(efficiency) as avg_efficiency,
  MAX(temperature) as max_temp
FROM wind_turbine_aggregated
WHERE date = current_date()
GROUP BY turbine_id;

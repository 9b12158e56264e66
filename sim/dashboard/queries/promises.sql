-- Windows by turbine and step: energy in MW x rows, produced and promised by the power curve.
-- Only the latest revision counts, and only windows with an efficiency, as in the performance view.
SELECT
  turbine_id,
  farm_id,
  (unix_micros(window_start) - :origin_us) DIV :step_us AS step,
  SUM(power_output * `rows`) AS produced,
  SUM(power_output * `rows` / efficiency) AS promised
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY turbine_id, window_start ORDER BY revision DESC) AS place
  FROM wind_turbine_aggregated
) AS revisions
WHERE place = 1 AND efficiency > 0 AND power_output > 0
GROUP BY turbine_id, farm_id, step

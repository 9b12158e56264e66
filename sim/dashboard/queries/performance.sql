SELECT *
FROM wind_turbine_performance_view
WHERE date IS NULL
ORDER BY farm_id, turbine_id

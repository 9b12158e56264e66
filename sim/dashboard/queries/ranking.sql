SELECT *
FROM wind_turbine_maintenance_dashboard
ORDER BY place

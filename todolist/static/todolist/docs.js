// Shows the API's document on /docs. The token typed into "Authorize" is kept nowhere.
const page = document.getElementById("docs");

SwaggerUIBundle({
  url: page.dataset.schema,
  domNode: page,
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: "none", // nothing is sent to another server
});
